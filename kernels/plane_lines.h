// The planes of a 1x1 convolution without stride, cut into tiles. Positions are lanes: a tile has
// whole lines of a plane, which are read and written where they lie, or a line that is put together
// of what images have left behind theirs.
#pragma once

#include <algorithm>

#include "kernels/panel_product.h"
#include "kernels/window_sum.h"

namespace simaqat::kernels {

struct PlaneLines {
  static constexpr int64_t kLine = kPanel<float>;
  static constexpr int64_t kLines = 16;  // of a tile, at most
  static constexpr int64_t kPositions = kLines * kLine;

  // Positions that are neighbours in an image's planes.
  struct Run {
    int64_t image, position, count;
  };

  // Of a shape that fits.
  explicit PlaneLines(const ConvShape& shape)
      : batch(shape.batch),
        in_channels(shape.in_channels),
        out_channels(shape.out_channels),
        size(shape.out[0] * shape.out[1] * shape.out[2]),
        lines(size / kLine),
        image_tiles(ceilDiv(lines, kLines)),
        left_of_image(size % kLine) {}

  static bool fits(const ConvShape& shape) {
    const ConvShape flat = collapsed(shape);
    const std::array<int64_t, 3> ones{1, 1, 1};
    return flat.kernel == ones && flat.stride == ones && flat.in == flat.out && shape.group == 1 &&
           flat.out[2] >= kLine;
  }

  int64_t lineTiles() const { return batch * image_tiles; }
  int64_t left() const { return batch * left_of_image; }
  int64_t tiles() const { return lineTiles() + ceilDiv(left(), kLine); }
  bool hasLines(int64_t tile) const { return tile < lineTiles(); }

  // Of a tile that has lines.
  Run linesOf(int64_t tile) const {
    const int64_t part = tile % image_tiles;
    const int64_t first = lines * part / image_tiles;
    const int64_t end = lines * (part + 1) / image_tiles;
    return {tile / image_tiles, first * kLine, (end - first) * kLine};
  }

  // Calls visit(run, at) for each of a tile's runs, where `at` positions are in front of it, and
  // returns how many positions there are.
  template <class Visit>
  int64_t forEachRun(int64_t tile, Visit&& visit) const {
    if (hasLines(tile)) {
      const Run run = linesOf(tile);
      visit(run, int64_t{0});
      return run.count;
    }
    const int64_t first = (tile - lineTiles()) * kLine;
    const int64_t count = std::min(kLine, left() - first);
    for (int64_t at = 0; at < count;) {
      const int64_t passed = (first + at) % left_of_image;
      const Run run{(first + at) / left_of_image, lines * kLine + passed,
                    std::min(left_of_image - passed, count - at)};
      visit(run, at);
      at += run.count;
    }
    return count;
  }

  // The channels at the positions of a tile that has no lines, each in a line of its own.
  void gather(const float* from, int64_t channels, int64_t tile, float* to) const {
    std::fill_n(to, channels * kLine, 0.0f);
    forEachRun(tile, [&](const Run& run, int64_t at) {
      const float* first = from + run.image * channels * size + run.position;
      for (int64_t c = 0; c < channels; ++c) {
        std::copy_n(first + c * size, run.count, to + c * kLine + at);
      }
    });
  }

  int64_t batch, in_channels, out_channels;
  int64_t size;  // positions of a plane
  int64_t lines, image_tiles, left_of_image;
};

}  // namespace simaqat::kernels
