#include "qat/ops/shared/gather_elements.h"

namespace simaqat::ops {
namespace {

// d data of GatherElements, from inputs (dy, indices).

void infer(InferContext& c) {
  c.setOutput(0, c.input(0).element, toShape(c.node.attributes<GatherGradientAttributes>().shape));
}

void evaluate(const EvalContext& c) {
  const auto& attributes = c.node.attributes<GatherGradientAttributes>();
  const GatherElementsWalk walk(c.node, attributes.axis, attributes.shape, c.in(1));
  fill(c.out(), nullptr, c.pool);
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    // On one thread: any two elements may be added to the same one.
    for (int64_t i = 0; i < c.in(0).size; ++i) {
      c.out().data<T>()[walk.source(i)] += c.in(0).data<T>()[i];
    }
  });
}

}  // namespace

OpDefinition defineGatherElementsGradient() {
  OpDefinition op;
  op.name = "GatherElementsGradient";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 2;
  op.make_attributes = &makeAttributes<GatherGradientAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
