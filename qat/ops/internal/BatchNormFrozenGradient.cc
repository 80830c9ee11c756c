#include "qat/ops/shared/batch_norm.h"

namespace simaqat::ops {
namespace {

// dx, dgamma, dbeta of BatchNormalization on running statistics, from (dy, x, gamma, mean, var).

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
    const double epsilon = c.node.attributes<BatchNormAttributes>().epsilon;
    for (int64_t ch = 0; ch < s.channels; ++ch) {
      const double mean = c.in(3).data<T>()[ch];
      const double inv_std = 1 / std::sqrt(c.in(4).data<T>()[ch] + epsilon);
      const double factor = c.in(2).data<T>()[ch] * inv_std;
      double sum = 0;
      double product = 0;
      forEachInChannel(s, ch, [&](int64_t i) {
        sum += dy[i];
        product += dy[i] * (x[i] - mean) * inv_std;
        dx[i] = static_cast<T>(dy[i] * factor);
      });
      c.out(1).data<T>()[ch] = static_cast<T>(product);
      c.out(2).data<T>()[ch] = static_cast<T>(sum);
    }
  });
}

void kernel(const EvalContext& c) {
  kernels::batchNormFrozenGrad(
      batchNormShape(c.in(1)), c.in(0).data<float>(), c.in(1).data<float>(),
      c.in(2).data<float>(), c.in(3).data<float>(), c.in(4).data<float>(),
      c.node.attributes<BatchNormAttributes>().epsilon, c.out(0).data<float>(),
      c.out(1).data<float>(), c.out(2).data<float>(), c.pool);
}

}  // namespace

OpDefinition defineBatchNormFrozenGradient() {
  OpDefinition op;
  op.name = "BatchNormFrozenGradient";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 5;
  op.min_outputs = op.max_outputs = 3;
  op.make_attributes = &makeAttributes<BatchNormAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.in_place = {{0, 0}};
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
