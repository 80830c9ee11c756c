// Reading rows of floats, or of codes as the floats they stand for.
#pragma once

#include <algorithm>

#include "kernels/window_sum.h"

namespace simaqat::kernels {

// Rows of the source for fillBuffer, as T.
template <class T>
struct FloatRows {
  void copy(int64_t image, int64_t channel, int64_t at, const RowCut& cut, T* out) const {
    cut.copy(source + (image * image_channels + channel) * plane + at, out,
             [](float v) { return static_cast<T>(v); });
  }
  void outside(const RowCut& cut, T* out) const { cut.zero(out); }

  const float* source;
  int64_t image_channels, plane;
};

// The same from codes: what they stand for, or with a scale of 1 whole numbers.
struct CodeValueRows {
  void copy(int64_t image, int64_t channel, int64_t at, const RowCut& cut, float* out) const {
    cut.copy(channelOf(image, channel) + at, out, ValueOf{codes.scale, codes.zero_point});
  }
  void outside(const RowCut& cut, float* out) const { cut.zero(out); }
  // All of a channel.
  void expand(int64_t image, int64_t channel, float* out) const {
    const uint8_t* from = channelOf(image, channel);
    std::transform(from, from + plane, out, ValueOf{codes.scale, codes.zero_point});
  }
  const uint8_t* channelOf(int64_t image, int64_t channel) const {
    return codes.codes + (image * image_channels + channel) * plane;
  }

  struct ValueOf {
    float operator()(float code) const { return (code - zero_point) * scale; }
    float scale, zero_point;
  };

  Codes codes;
  int64_t image_channels, plane;
};

inline FloatRows<float> rowsOfSource(const WindowSum& sum, const float* x) {
  return {x, sum.group * sum.source_channels, sum.sourcePlane()};
}
inline CodeValueRows rowsOfSource(const WindowSum& sum, const Codes& x) {
  return {x, sum.group * sum.source_channels, sum.sourcePlane()};
}

}  // namespace simaqat::kernels
