#include "qat/ops/shared/slice.h"

namespace simaqat::ops {
namespace {

// dx of Slice, from dy: zero but where y was taken from.

void infer(InferContext& c) {
  c.setOutput(0, c.input(0).element, toShape(c.node.attributes<SliceGradientAttributes>().shape));
}

void evaluate(const EvalContext& c) {
  const auto& attributes = c.node.attributes<SliceGradientAttributes>();
  const Strides from = denseStrides(c.node, c.in(0).dims);
  const Strides to = denseStrides(c.node, attributes.shape);
  fill(c.out(), nullptr, c.pool);
  StridedCopy copy(c.out().type);
  for (size_t axis = 0; axis < attributes.shape.size(); ++axis) {
    const int64_t count = c.in(0).dims[axis];
    copy.to_offset += attributes.starts[axis] * to[axis];
    copy.addAxis(count, from[axis], count > 1 ? attributes.steps[axis] * to[axis] : 0);
  }
  copy.run(c.in(0).bytes, c.out().bytes, c.pool);
}

}  // namespace

OpDefinition defineSliceGradient() {
  OpDefinition op;
  op.name = "SliceGradient";
  op.domain = "simaqat";
  op.make_attributes = &makeAttributes<SliceGradientAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
