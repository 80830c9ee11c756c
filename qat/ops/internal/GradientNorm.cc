#include <cmath>

#include "kernels/sgd.h"
#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/sgd_attributes.h"

namespace simaqat::ops {
namespace {

// The 2-norm over all gradients together, and the factor that clips it to max_norm, as PyTorch's
// clip_grad_norm_: max_norm / (norm + 1e-6) where that is below 1. A norm that is not finite is how
// a step learns that a gradient is not.

void infer(InferContext& c) {
  for (size_t i = 0; i < 2; ++i) c.setOutput(i, ElementType::kFloat, Shape{});
}

void evaluate(const EvalContext& c) {
  double sum = 0;
  for (const TensorView& gradient : c.inputs) {
    sum += kernels::sumOfSquares(gradient.data<float>(), gradient.size, c.pool);
  }
  const double norm = std::sqrt(sum);
  const double max_norm = c.node.attributes<GradientNormAttributes>().max_norm;
  const double factor = max_norm > 0 ? std::min(1.0, max_norm / (norm + 1e-6)) : 1.0;
  *c.out(0).data<float>() = static_cast<float>(norm);
  *c.out(1).data<float>() = static_cast<float>(factor);
}

}  // namespace

OpDefinition defineGradientNorm() {
  OpDefinition op;
  op.name = "GradientNorm";
  op.domain = "simaqat";
  op.max_inputs = 1u << 20;
  op.min_outputs = op.max_outputs = 2;
  op.make_attributes = &makeAttributes<GradientNormAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  return op;
}

}  // namespace simaqat::ops
