#include "qat/ops/shared/batch_norm.h"

namespace simaqat::ops {
namespace {

// BatchNormFrozenGradient whose dy passes where x lies in its channel's range, and is 0 elsewhere.
// Inputs: dy, x, gamma, mean, var, lo, hi.

void infer(InferContext& c) {
  c.setOutput(0, c.input(1).element, c.input(1).shape);
  for (size_t i = 1; i < 3; ++i) c.setOutput(i, c.input(2).element, c.input(2).shape);
}

void evaluate(const EvalContext& c) {
  const kernels::PassedRange passed{c.in(5).data<float>(), c.in(6).data<float>()};
  kernels::batchNormFrozenGrad(
      batchNormShape(c.in(1)), c.in(0).data<float>(), c.in(1).data<float>(), passed,
      c.in(2).data<float>(), c.in(3).data<float>(), c.in(4).data<float>(),
      c.node.attributes<BatchNormAttributes>().epsilon, c.out(0).data<float>(),
      c.out(1).data<float>(), c.out(2).data<float>(), c.pool);
}

}  // namespace

OpDefinition definePassedBatchNormFrozenGradient() {
  OpDefinition op;
  op.name = "PassedBatchNormFrozenGradient";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 7;
  op.min_outputs = op.max_outputs = 3;
  op.make_attributes = &makeAttributes<BatchNormAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.in_place = {{0, 0}};
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
