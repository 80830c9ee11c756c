#include "kernels/reduce.h"
#include "qat/ops/shared/broadcast.h"

namespace simaqat::ops {
namespace {

// The sum over every axis but axis 1: the gradient of a bias.

void infer(InferContext& c) {
  std::optional<Shape> shape;
  if (const Shape* x = c.shape(0)) shape = Shape{(*x)[1]};
  c.setOutput(0, c.input(0).element, shape);
}

void evaluate(const EvalContext& c) {
  const int64_t outer = c.in(0).dim(0);
  const int64_t channels = c.in(0).dim(1);
  const int64_t inner = c.in(0).size / std::max<int64_t>(1, outer * channels);
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* x = c.in(0).data<T>();
    T* sum = c.out().data<T>();
    for (int64_t channel = 0; channel < channels; ++channel) {
      double total = 0;
      for (int64_t n = 0; n < outer; ++n) {
        const T* row = x + (n * channels + channel) * inner;
        for (int64_t i = 0; i < inner; ++i) total += row[i];
      }
      sum[channel] = static_cast<T>(total);
    }
  });
}

void kernel(const EvalContext& c) {
  const int64_t outer = c.in(0).dim(0);
  const int64_t channels = c.in(0).dim(1);
  kernels::channelSum(c.in(0).data<float>(), outer, channels,
                      c.in(0).size / std::max<int64_t>(1, outer * channels), c.out().data<float>(),
                      c.pool);
}

}  // namespace

OpDefinition defineChannelSum() {
  OpDefinition op;
  op.name = "ChannelSum";
  op.domain = "simaqat";
  op.infer = infer;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
