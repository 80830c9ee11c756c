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

// f(element index) for each element of one channel.
template <class F>
void forEachInChannel(const kernels::BatchNormShape& s, int64_t channel, F f) {
  for (int64_t n = 0; n < s.batch; ++n) {
    for (int64_t i = 0; i < s.inner; ++i) f((n * s.channels + channel) * s.inner + i);
  }
}

// The shape rule's checks: four inputs with one element a channel.
void checkBatchNormInputs(const InferContext& c);

}  // namespace simaqat::ops
