#include "qat/ops/shared/einsum.h"

namespace simaqat::ops {
namespace {

// The gradient of one operand of Einsum. The inputs are Einsum's, with dy in that operand's place:
// the operand and the output exchange their labels.

void infer(InferContext& c) {
  c.setOutput(0, c.input(0).element, toShape(c.node.attributes<EinsumGradientAttributes>().shape));
}

void evaluate(const EvalContext& c) {
  const auto& attributes = c.node.attributes<EinsumGradientAttributes>();
  const auto own = static_cast<size_t>(attributes.operand);
  std::vector<size_t> ranks;
  for (const TensorView& input : c.inputs) ranks.push_back(input.dims.size());
  ranks[own] = attributes.shape.size();
  const EinsumLabels labels(c.node, attributes.equation, ranks);
  std::vector<const std::vector<size_t>*> of_terms;
  std::vector<Span<const int64_t>> dims;
  for (size_t i = 0; i < ranks.size(); ++i) {
    of_terms.push_back(i == own ? &labels.output : &labels.operands[i]);
    dims.push_back(c.in(i).dims);
  }
  of_terms.push_back(&labels.operands[own]);
  dims.push_back(attributes.shape);
  const EinsumWalk walk(c.node, labels.count, of_terms, dims);
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    std::vector<const T*> operands;
    for (const TensorView& input : c.inputs) operands.push_back(input.data<T>());
    walk.run(operands, c.out(), c.pool);
  });
}

}  // namespace

OpDefinition defineEinsumGradient() {
  OpDefinition op;
  op.name = "EinsumGradient";
  op.domain = "simaqat";
  op.max_inputs = EinsumWalk::kMaxOperands;
  op.make_attributes = &makeAttributes<EinsumGradientAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
