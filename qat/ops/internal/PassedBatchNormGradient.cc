#include "qat/ops/shared/batch_norm.h"

namespace simaqat::ops {
namespace {

// BatchNormTrainingGradient whose dy passes where x lies in its channel's range, and is 0
// elsewhere. Inputs: dy, x, gamma, the batch's mean and 1 / sqrt(var + epsilon), lo, hi.

void infer(InferContext& c) {
  c.setOutput(0, c.input(1).element, c.input(1).shape);
  for (size_t i = 1; i < 3; ++i) c.setOutput(i, c.input(2).element, c.input(2).shape);
}

void evaluate(const EvalContext& c) {
  kernels::batchNormGrad(batchNormShape(c.in(1)), c.in(0).data<float>(), c.in(1).data<float>(),
                         {c.in(5).data<float>(), c.in(6).data<float>()}, c.in(2).data<float>(),
                         c.in(3).data<float>(), c.in(4).data<float>(), c.out(0).data<float>(),
                         c.out(1).data<float>(), c.out(2).data<float>(), c.pool);
}

}  // namespace

OpDefinition definePassedBatchNormGradient() {
  OpDefinition op;
  op.name = "PassedBatchNormGradient";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 7;
  op.min_outputs = op.max_outputs = 3;
  op.infer = infer;
  op.evaluate = evaluate;
  op.in_place = {{0, 0}};
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
