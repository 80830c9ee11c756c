#include "qat/ops/shared/einsum.h"

#include "qat/ops/shared/examples.h"

namespace simaqat::ops {
namespace {

const std::string& equationOf(const Node& node) {
  return node.attributes<EinsumAttributes>().equation;
}

void infer(InferContext& c) {
  std::vector<size_t> ranks;
  for (size_t i = 0; i < c.node.inputCount(); ++i) {
    if (c.shape(i) == nullptr) return c.setOutput(0, c.input(0).element, std::nullopt);
    ranks.push_back(c.shape(i)->size());
  }
  const EinsumLabels labels(c.node, equationOf(c.node), ranks);
  std::vector<Dim> sizes(labels.count, 1);
  for (size_t i = 0; i < ranks.size(); ++i) {
    c.expectElement(i, c.input(0).element);
    for (size_t axis = 0; axis < ranks[i]; ++axis) {
      const Dim& own = (*c.shape(i))[axis];
      Dim& size = sizes[labels.operands[i][axis]];
      const bool is_one = size.known() && size.value == 1;
      if (own.known() && own.value != 1 && size.known() && !is_one && own != size) {
        c.node.fail("input {}: expected {} on axis {}, got {}", i, size.value, axis, own.value);
      }
      // A number above 1 tells more than a symbol.
      if (is_one || (own.known() && own.value != 1)) size = own;
    }
  }
  Shape y;
  for (const size_t label : labels.output) y.push_back(sizes[label]);
  c.setOutput(0, c.input(0).element, std::move(y));
}

void evaluate(const EvalContext& c) {
  std::vector<size_t> ranks;
  for (const TensorView& input : c.inputs) ranks.push_back(input.dims.size());
  const EinsumLabels labels(c.node, equationOf(c.node), ranks);
  std::vector<const std::vector<size_t>*> of_terms;
  std::vector<Span<const int64_t>> dims;
  for (size_t i = 0; i < ranks.size(); ++i) {
    of_terms.push_back(&labels.operands[i]);
    dims.push_back(c.in(i).dims);
  }
  of_terms.push_back(&labels.output);
  dims.push_back(c.out().dims);
  const EinsumWalk walk(c.node, labels.count, of_terms, dims);
  visitNumber(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    std::vector<const T*> operands;
    for (const TensorView& input : c.inputs) operands.push_back(input.data<T>());
    walk.run(operands, c.out(), c.pool);
  });
}

void gradient(GradientContext& c) {
  for (size_t i = 0; i < c.node.inputCount(); ++i) {
    if (!c.wants(i)) continue;
    EinsumGradientAttributes attributes;
    attributes.equation = equationOf(c.node);
    attributes.operand = static_cast<int64_t>(i);
    attributes.shape = c.input(i)->type.dims();
    std::vector<Value*> inputs;
    for (size_t k = 0; k < c.node.inputCount(); ++k) {
      inputs.push_back(k == i ? c.outputGradient() : c.factor(c.input(k)));
    }
    c.setInputGradient(i, c.add("simaqat::EinsumGradient", inputs, attributes));
  }
}

std::vector<OpExample> examples() {
  const auto example = [](const char* name, const char* equation, std::vector<Tensor> inputs) {
    return OpExample(name, {{"equation", std::string(equation)}}, std::move(inputs));
  };
  const auto x = [](std::vector<int64_t> dims, uint64_t seed = 1) {
    return exampleTensor(std::move(dims), seed);
  };
  return {
      example("matrices", "ij,jk->ik", {x({2, 3}), x({3, 4}, 2)}),
      example("heads", "bhqd,bhkd->bhqk", {x({2, 2, 3, 2}), x({2, 2, 4, 2}, 2)}),
      example("transpose", "i j -> j i", {x({2, 3})}),
      example("implicit", "bj,bi", {x({2, 3}), x({2, 4}, 2)}),
      example("sum", "ij->", {x({2, 3})}),
      example("trace", "ii->", {x({3, 3})}),
      example("diagonal", "...ii->...i", {x({2, 3, 3})}),
      example("ellipsis that broadcasts", "...ij,...jk->...ik", {x({2, 1, 2, 3}), x({4, 3, 2}, 2)}),
      example("three operands", "ij,jk,k->i", {x({2, 3}), x({3, 2}, 2), x({2}, 3)}),
      example("outer product", "i,j->ij", {x({3}), x({2}, 2)}),
      example("integers", "ij,j->i",
              {exampleIntegers({2, 3}, -5, 5), exampleIntegers({3}, -5, 5, 2)}),
  };
}

}  // namespace

OpDefinition defineEinsum() {
  OpDefinition op;
  op.name = "Einsum";
  op.first_opset = 12;
  op.max_inputs = EinsumWalk::kMaxOperands;
  op.make_attributes = &makeAttributes<EinsumAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kComputes;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
