#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/strided_copy.h"

namespace simaqat::ops {
namespace {

// The input's axis that becomes axis `i` of the output.
size_t sourceAxis(const Node& node, size_t i, size_t rank) {
  const auto& perm = node.attributes<TransposeAttributes>().perm;
  return perm.empty() ? rank - 1 - i : static_cast<size_t>(perm[i]);
}

void infer(InferContext& c) {
  const Shape* x = c.shape(0);
  std::optional<Shape> y;
  if (x != nullptr) {
    const auto& perm = c.node.attributes<TransposeAttributes>().perm;
    std::vector<bool> seen(x->size());
    if (!perm.empty() && perm.size() != x->size()) {
      c.node.fail("attribute 'perm': expected {} axes, got {}", x->size(), dimsToString(perm));
    }
    for (const int64_t axis : perm) {
      if (axis < 0 || axis >= static_cast<int64_t>(x->size()) || seen[static_cast<size_t>(axis)]) {
        c.node.fail("attribute 'perm': expected every axis once, got {}", dimsToString(perm));
      }
      seen[static_cast<size_t>(axis)] = true;
    }
    y.emplace();
    for (size_t i = 0; i < x->size(); ++i) y->push_back((*x)[sourceAxis(c.node, i, x->size())]);
  }
  c.setOutput(0, c.input(0).element, std::move(y));
}

void evaluate(const EvalContext& c) {
  const size_t rank = c.out().dims.size();
  const Strides from = denseStrides(c.node, c.in(0).dims);
  const Strides to = denseStrides(c.node, c.out().dims);
  StridedCopy copy(c.out().type);
  for (size_t i = 0; i < rank; ++i) {
    copy.addAxis(c.out().dims[i], from[sourceAxis(c.node, i, rank)], to[i]);
  }
  copy.run(c.in(0).bytes, c.out().bytes, c.pool);
}

void gradient(GradientContext& c) {
  const size_t rank = c.input(0)->type.rank();
  TransposeAttributes inverse;
  inverse.perm.resize(rank);
  for (size_t i = 0; i < rank; ++i) {
    inverse.perm[sourceAxis(c.node, i, rank)] = static_cast<int64_t>(i);
  }
  c.setInputGradient(0, c.add("Transpose", {c.outputGradient()}, inverse));
}

std::vector<OpExample> examples() {
  using Ints = std::vector<int64_t>;
  return {
      {"reverse", {}, {exampleTensor({2, 3, 4})}},
      {"perm", {{"perm", Ints{0, 2, 3, 1}}}, {exampleTensor({2, 3, 4, 5})}},
      {"heads", {{"perm", Ints{1, 2, 0}}}, {exampleTensor({2, 3, 4})}},
      {"integers", {}, {exampleIntegers({3, 2}, 0, 99)}},
  };
}

}  // namespace

OpDefinition defineTranspose() {
  OpDefinition op;
  op.name = "Transpose";
  op.make_attributes = &makeAttributes<TransposeAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kShares;
  op.quantization.moves_codes = true;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
