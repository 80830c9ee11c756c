// What BatchNormalization and the forms it takes in training share.
#pragma once

#include <cmath>

#include "kernels/batch_norm.h"
#include "qat/ops/shared/batch_norm_attributes.h"
#include "qat/ops/shared/broadcast.h"

namespace simaqat::ops {

inline kernels::BatchNormShape batchNormShape(const TensorView& x) {
  const int64_t batch = x.dim(0);
  const int64_t channels = x.rank() > 1 ? x.dim(1) : 1;
  return {batch, channels, batch * channels == 0 ? 0 : x.size / (batch * channels)};
}

// [C, 1, ...], which broadcasts against x.
inline Shape channelShape(const Shape& x) {
  Shape shape(x.size() - 1, Dim(1));
  shape[0] = x[1];
  return shape;
}

// f(element index) for each element of one channel.
template <class F>
void forEachInChannel(const kernels::BatchNormShape& s, int64_t channel, F f) {
  for (int64_t n = 0; n < s.batch; ++n) {
    for (int64_t i = 0; i < s.inner; ++i) f((n * s.channels + channel) * s.inner + i);
  }
}

// The running statistics after a step, from inputs 3 and 4: `variance` holds the batch's biased one
// when this is called.
template <class T>
void updateRunning(const EvalContext& c, const kernels::BatchNormShape& s, const T* mean,
                   T* variance, T* running_mean) {
  const auto& a = c.node.attributes<BatchNormTrainingAttributes>();
  const double count = static_cast<double>(s.batch * s.inner);
  const double correction = a.unbiased_running_var && count > 1 ? count / (count - 1) : 1.0;
  const double m = a.momentum;
  for (int64_t ch = 0; ch < s.channels; ++ch) {
    const double batch_mean = mean[ch];
    const double batch_variance = variance[ch] * correction;
    running_mean[ch] = static_cast<T>(c.in(3).data<T>()[ch] * m + batch_mean * (1 - m));
    variance[ch] = static_cast<T>(c.in(4).data<T>()[ch] * m + batch_variance * (1 - m));
  }
}

// The shape rule's checks: four inputs with one element a channel.
void checkBatchNormInputs(const InferContext& c);

}  // namespace simaqat::ops
