// Reading rows of floats, or of codes, as pairs of bfloat16 numbers: of two channels, along which a
// convolution's input gradient is summed, or of neighbouring positions, along which its weight
// gradient is.
#pragma once

#include <algorithm>

#include "kernels/bfloat16.h"
#include "kernels/window_sum.h"

namespace simaqat::kernels {

// For fillBuffer: channel c of the buffer is channels 2c and 2c + 1 of the source's group.
struct ChannelPairRows {
  void copy(int64_t image, int64_t pair, int64_t at, const RowCut& cut, Bfloat16Pair* out) const {
    const int64_t channel = pair % group_pairs * 2;
    const int64_t first = pair / group_pairs * group_channels + channel;
    const float* a = source + (image * image_channels + first) * plane + at + cut.begin;
    const float* b = channel + 1 < group_channels ? a + plane : nullptr;
    std::fill(out, out + cut.first, Bfloat16Pair{0});
    if (b == nullptr) {
      for (int64_t i = cut.first; i < cut.end; ++i) out[i] = pairOf(a[i * cut.step], 0.0f);
    } else if (cut.step == 1) {
      makePairs(a + cut.first, b + cut.first, cut.end - cut.first, out + cut.first);
    } else {
      for (int64_t i = cut.first; i < cut.end; ++i) {
        out[i] = pairOf(a[i * cut.step], b[i * cut.step]);
      }
    }
    std::fill(out + cut.end, out + cut.count, Bfloat16Pair{0});
  }
  void outside(const RowCut& cut, Bfloat16Pair* out) const {
    std::fill(out, out + cut.count, Bfloat16Pair{0});
  }

  const float* source;
  int64_t image_channels, plane;
  int64_t group_pairs, group_channels;
};

// For fillBuffer: element i of a row is positions i and i + 1, so that a pair may begin anywhere.
// Rows are read by `rows`, those of float_rows.h; `line` has room for one and a vector behind it.
// What is `exact` in bfloat16 need not be rounded.
template <class Rows>
struct PositionPairRows {
  void copy(int64_t image, int64_t channel, int64_t at, const RowCut& cut,
            Bfloat16Pair* out) const {
    rows.copy(image, channel, at, cut, line);
    if (!exact) {
      for (int64_t i = 0; i < cut.count; i += kLanes) {
        store(line + i, roundedToBfloat16(load(line + i)));
      }
    }
    store(line + cut.count, broadcast(0.0f));
    for (int64_t i = 0; i < cut.count; i += kLanes) {
      store(out + i, pairsOfRounded(load(line + i), load(line + i + 1)));
    }
  }
  void outside(const RowCut& cut, Bfloat16Pair* out) const {
    std::fill(out, out + cut.count, Bfloat16Pair{0});
  }

  Rows rows;
  bool exact;
  float* line;
};

}  // namespace simaqat::kernels
