// What the operators of the scaffolding share.
#pragma once

#include "qat/ops/shared/broadcast.h"

namespace simaqat::ops {

// A tensor seen as [outer, channels, inner]; one channel where there is one scale.
struct ChannelLayout {
  int64_t outer = 1;
  int64_t channels = 1;
  int64_t inner = 1;
};

inline ChannelLayout channelLayout(const TensorView& x, int64_t scales, int64_t axis) {
  if (axis < 0 || scales == 1) return {1, 1, std::max<int64_t>(1, x.size)};
  ChannelLayout layout;
  for (int64_t k = 0; k < x.rank(); ++k) {
    (k < axis ? layout.outer : k == axis ? layout.channels : layout.inner) *= x.dim(k);
  }
  return layout;
}

// [C, 1, 1, 1] for axis 0 of rank 4: what broadcasts against the tensor, in files too.
inline std::vector<int64_t> scaleDims(const std::vector<int64_t>& x, int64_t axis) {
  if (axis < 0) return {};
  std::vector<int64_t> dims(x.size(), 1);
  dims[static_cast<size_t>(axis)] = x[static_cast<size_t>(axis)];
  return dims;
}

}  // namespace simaqat::ops
