#include "kernels/window_sum.h"

namespace simaqat::kernels {

ConvShape collapsed(const ConvShape& shape) {
  const std::array<int64_t, 3> ones{1, 1, 1}, zeros{0, 0, 0};
  if (shape.kernel != ones || shape.stride != ones || shape.pad_begin != zeros ||
      shape.in != shape.out) {
    return shape;
  }
  ConvShape flat = shape;
  flat.in = flat.out = {1, 1, shape.in[0] * shape.in[1] * shape.in[2]};
  return flat;
}

WindowSum forwardSum(const ConvShape& shape) {
  WindowSum sum{shape.batch,
                shape.group,
                shape.in_channels / shape.group,
                shape.out_channels / shape.group,
                {}};
  for (size_t i = 0; i < 3; ++i) {
    sum.axis[i] = {shape.out[i],
                   0,
                   1,
                   shape.out[i],
                   shape.in[i],
                   shape.stride[i],
                   shape.kernel[i],
                   -shape.pad_begin[i],
                   shape.dilation[i],
                   0,
                   1,
                   shape.kernel[i]};
  }
  return sum;
}

void fillTapOffsets(const WindowSum& sum, const Tiling& tiling, int64_t* offset) {
  const Axis &a0 = sum.axis[0], &a1 = sum.axis[1], &a2 = sum.axis[2];
  for (int64_t c = 0; c < tiling.channels; ++c) {
    for (int64_t d = 0; d < a0.taps; ++d) {
      for (int64_t h = 0; h < a1.taps; ++h) {
        const int64_t row = a1.phase(h) * (tiling.rows + a1.reach()) + a1.shift(h);
        for (int64_t w = 0; w < a2.taps; ++w) {
          *offset++ = c * tiling.channel_stride + d * tiling.slice + row * tiling.row_stride +
                      a2.phase(w) * tiling.phaseColumns(a2) + a2.shift(w);
        }
      }
    }
  }
}

namespace {

// Calls function(image, row, target) for each row of a tile: where it begins in a channel of the
// target.
template <class Function>
void forRows(const WindowSum& sum, const TileRange& range, Function&& function) {
  const Axis &a0 = sum.axis[0], &a1 = sum.axis[1], &a2 = sum.axis[2];
  const int64_t target_image = sum.group * sum.target_channels * sum.targetPlane();
  const int64_t d = a0.out_begin + range.slice * a0.out_step;
  for (int64_t n = 0; n < range.images; ++n) {
    for (int64_t r = 0; r < range.rows; ++r) {
      const int64_t h = a1.out_begin + (range.row + r) * a1.out_step;
      function(n, r,
               (range.image + n) * target_image + (d * a1.out_size + h) * a2.out_size +
                   a2.out_begin + range.column * a2.out_step);
    }
  }
}

}  // namespace

int64_t fillVectors(const WindowSum& sum, const Tiling& tiling, const TileRange& range,
                    PositionVector* vectors, int64_t lanes) {
  int64_t count = 0;
  forRows(sum, range, [&](int64_t n, int64_t r, int64_t target) {
    const int64_t source = n * tiling.image_floats + r * tiling.row_stride;
    for (int64_t c = 0; c < range.columns; c += lanes) {
      vectors[count++] = {source + c, target + c * sum.axis[2].out_step,
                          std::min<int64_t>(lanes, range.columns - c)};
    }
  });
  return count;
}

int64_t fillPositions(const WindowSum& sum, const Tiling& tiling, const TileRange& range,
                      const TilePositions& positions) {
  int64_t count = 0;
  forRows(sum, range, [&](int64_t n, int64_t r, int64_t) {
    const int64_t source = n * tiling.image_floats + r * tiling.row_stride;
    for (int64_t c = 0; c < range.columns; ++c) positions.source[count++] = source + c;
  });
  return fillTargets(sum, range, positions.target);
}

int64_t fillTargets(const WindowSum& sum, const TileRange& range, int64_t* target) {
  int64_t count = 0;
  forRows(sum, range, [&](int64_t, int64_t, int64_t first) {
    for (int64_t c = 0; c < range.columns; ++c) target[count++] = first + c * sum.axis[2].out_step;
  });
  return count;
}

}  // namespace simaqat::kernels
