// What a manifest's transforms do to one sample.
#pragma once

#include <cstddef>
#include <cstdint>

#include "qat/base/element_type.h"
#include "qat/base/span.h"

namespace simaqat {

struct ImageShape {
  int64_t planes = 1;
  int64_t height = 1;
  int64_t width = 1;
};

// out(y, x) = in(y + dy, x + dx) in each plane, zero where that lies outside.
void shiftImage(const std::byte* in, std::byte* out, const ImageShape& shape, size_t element_bytes,
                int64_t dy, int64_t dx);

// out(y, x) = in(y, width - 1 - x) in each plane.
void mirrorImage(const std::byte* in, std::byte* out, const ImageShape& shape,
                 size_t element_bytes);

// out = (in / scale - mean) / std, from any type in one pass. `mean` and `std` have one value for
// all channels or one for each. `in` and `out` may be the same.
void normalizeSample(const std::byte* in, ElementType type, float* out, int64_t channels,
                     int64_t channel_size, float scale, Span<const float> mean,
                     Span<const float> std);

}  // namespace simaqat
