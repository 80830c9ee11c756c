// What depthwise convolution and its weight gradient have in common: how a plane is cut and read.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kernels/float_rows.h"
#include "kernels/masked_plane.h"
#include "kernels/window_sum.h"

namespace simaqat::kernels {

// Cuts a plane only where its buffer would be larger than this.
constexpr int64_t kPlaneBuffer = 32 << 10;
// Products that are worth handing out.
constexpr int64_t kPlaneWork = 1 << 17;

inline Tiling planeTiling(const WindowSum& sum) {
  // As many tiles as there are planes: none has several images.
  return Tiling(sum, 1, sum.batch * sum.group, kPlaneBuffer);
}

// A tile's rows, in the buffer and in the target.
struct PlaneRows {
  PlaneRows(const WindowSum& sum, const Tiling& tiling, const TileRange& range)
      : count(range.rows), columns(range.columns), source_stride(tiling.row_stride) {
    const Axis &a0 = sum.axis[0], &a1 = sum.axis[1], &a2 = sum.axis[2];
    const int64_t d = a0.out_begin + range.slice * a0.out_step;
    const int64_t h = a1.out_begin + range.row * a1.out_step;
    target = (d * a1.out_size + h) * a2.out_size + a2.out_begin + range.column * a2.out_step;
    target_stride = a1.out_step * a2.out_size;
    step = a2.out_step;
  }
  // All elements of a plane in a row.
  explicit PlaneRows(int64_t elements, int64_t target = 0)
      : count(1), columns(elements), source_stride(0), target(target), target_stride(0), step(1) {}
  int64_t count, columns;
  int64_t source_stride;
  int64_t target;  // where the first one begins in a plane
  int64_t target_stride, step;
};

// The elements of a plane as MaskedPlane reads them: where they lie, or in a buffer.
template <class SourceRows>
const float* planeOf(const MaskedPlane& masked, const SourceRows& rows, int64_t image,
                     int64_t channel, float* buffer) {
  if (!masked.readsInPlace()) {
    masked.fill(rows, image, channel, buffer);
    return buffer;
  }
  if constexpr (std::is_same_v<SourceRows, FloatRows<float>>) {
    return rows.source + (image * rows.image_channels + channel) * rows.plane;
  } else {
    rows.expand(image, channel, buffer);
    return buffer;
  }
}

}  // namespace simaqat::kernels
