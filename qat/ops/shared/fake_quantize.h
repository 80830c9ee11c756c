// What the operators of the scaffolding share.
#pragma once

#include "kernels/quantizer_formula.h"
#include "qat/base/float_order.h"
#include "qat/ops/shared/broadcast.h"

namespace simaqat::ops {

// A tensor seen as [outer, channels, inner]; one channel where there is one scale, and as many as
// there are scales.
struct ChannelLayout {
  int64_t outer = 1;
  int64_t channels = 1;
  int64_t inner = 1;
};

inline ChannelLayout channelLayout(const TensorView& x, int64_t scales, const QuantizerSpec& spec) {
  if (!spec.perChannel() || scales == 1) return {1, 1, std::max<int64_t>(1, x.size)};
  ChannelLayout layout;
  for (int64_t k = 0; k < x.rank(); ++k) {
    const bool is_outer = k < spec.axis && spec.groups == 1;
    (is_outer ? layout.outer : k <= spec.axis ? layout.channels : layout.inner) *= x.dim(k);
  }
  return layout;
}

// The x whose gradient passes.
inline FloatRange passingRange(const QuantizerSpec& spec, float scale, float zero_point) {
  const auto code = [&](float x) {
    return spec.learnsScale() ? x / scale + zero_point : kernels::roundedCode(x, scale, zero_point);
  };
  return {leastFloat([&](float x) { return code(x) >= static_cast<float>(spec.qmin); }),
          greatestFloat([&](float x) { return code(x) <= static_cast<float>(spec.qmax); })};
}

}  // namespace simaqat::ops
