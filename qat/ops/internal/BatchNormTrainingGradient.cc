#include "qat/ops/shared/batch_norm.h"

namespace simaqat::ops {
namespace {

// dx, dgamma, dbeta of BatchNormTraining, from (dy, x, gamma, batch mean, 1 / sqrt(var + epsilon)).

void infer(InferContext& c) {
  c.setOutput(0, c.input(1).element, c.input(1).shape);
  for (size_t i = 1; i < 3; ++i) c.setOutput(i, c.input(2).element, c.input(2).shape);
}

void evaluate(const EvalContext& c) {
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const kernels::BatchNormShape s = batchNormShape(c.in(1));
    const T* dy = c.in(0).data<T>();
    const T* x = c.in(1).data<T>();
    T* dx = c.out().data<T>();
    const double count = static_cast<double>(s.batch * s.inner);
    for (int64_t ch = 0; ch < s.channels; ++ch) {
      const double mean = c.in(3).data<T>()[ch];
      const double inv_std = c.in(4).data<T>()[ch];
      double sum = 0;
      double product = 0;
      forEachInChannel(s, ch, [&](int64_t i) {
        sum += dy[i];
        product += dy[i] * (x[i] - mean) * inv_std;
      });
      const double factor = c.in(2).data<T>()[ch] * inv_std;
      forEachInChannel(s, ch, [&](int64_t i) {
        const double h = (x[i] - mean) * inv_std;
        dx[i] = static_cast<T>(factor * (dy[i] - sum / count - h * product / count));
      });
      c.out(1).data<T>()[ch] = static_cast<T>(product);
      c.out(2).data<T>()[ch] = static_cast<T>(sum);
    }
  });
}

void kernel(const EvalContext& c) {
  kernels::batchNormGrad(batchNormShape(c.in(1)), c.in(0).data<float>(), c.in(1).data<float>(),
                         c.in(2).data<float>(), c.in(3).data<float>(), c.in(4).data<float>(),
                         c.out(0).data<float>(), c.out(1).data<float>(), c.out(2).data<float>(),
                         c.pool);
}

}  // namespace

OpDefinition defineBatchNormTrainingGradient() {
  OpDefinition op;
  op.name = "BatchNormTrainingGradient";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 5;
  op.min_outputs = op.max_outputs = 3;
  op.infer = infer;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.pointwise.fused_form = "simaqat::PointwiseBatchNormGradient";
  op.in_place = {{0, 0}};
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
