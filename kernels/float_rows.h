// Reading rows of floats, or of codes as the floats they stand for.
#pragma once

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

// The same from codes: what they stand for, where `scale` is theirs, or with scale 1 whole numbers.
struct CodeValueRows {
  void copy(int64_t image, int64_t channel, int64_t at, const RowCut& cut, float* out) const {
    cut.copy(
        codes.codes + (image * image_channels + channel) * plane + at, out,
        [scale = scale, zero = codes.zero_point](float code) { return (code - zero) * scale; });
  }
  void outside(const RowCut& cut, float* out) const { cut.zero(out); }
  // All of a channel.
  void expand(int64_t image, int64_t channel, float* out) const {
    const uint8_t* from = codes.codes + (image * image_channels + channel) * plane;
    const float zero = codes.zero_point;
    for (int64_t i = 0; i < plane; ++i) out[i] = (static_cast<float>(from[i]) - zero) * scale;
  }

  Codes codes;
  float scale;
  int64_t image_channels, plane;
};

inline FloatRows<float> rowsOfSource(const WindowSum& sum, const float* x) {
  return {x, sum.group * sum.source_channels, sum.sourcePlane()};
}
inline CodeValueRows rowsOfSource(const WindowSum& sum, const Codes& x) {
  return {x, x.scale, sum.group * sum.source_channels, sum.sourcePlane()};
}

}  // namespace simaqat::kernels
