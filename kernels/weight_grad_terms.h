// The terms of a weight gradient's sum over a tile's positions: where they lie, dy at them as a
// panel, and how x is read. A term of floats is a position, one of bfloat16 numbers two that are
// neighbours in a row, of which the second may be missing.
#pragma once

#include <type_traits>

#include "kernels/bfloat16.h"
#include "kernels/float_rows.h"
#include "kernels/pair_rows.h"
#include "kernels/panel_planes.h"
#include "kernels/window_sum.h"
#include "kernels/workspace.h"

namespace simaqat::kernels {

// Of all threads; those of one are a tile's.
template <class T>
struct WeightGradTerms;

template <>
struct WeightGradTerms<float> {
  WeightGradTerms(const Tiling& tiling, int threads, Workspace& memory)
      : sources(memory.takeForThreads<int64_t>(threads, tiling.positions())),
        targets(memory.takeForThreads<int64_t>(threads, tiling.positions())) {}

  WeightGradTerms of(int worker) const {
    WeightGradTerms own = *this;
    own.source = sources.of(worker);
    own.target = targets.of(worker);
    return own;
  }
  int64_t fill(const WindowSum& sum, const Tiling& tiling, const TileRange& range) const {
    return fillPositions(sum, tiling, range, {source, target});
  }
  // panel[i][c] = dy[c * plane + position first + i], as packPanel has it.
  void pack(const float* dy, int64_t plane, int64_t channels, int64_t first, int64_t count,
            float* panel) const {
    packPanel(dy, plane, channels, target + first, count, panel);
  }

  int64_t positions(int64_t /*first*/, int64_t count) const { return count; }

  ThreadArrays<int64_t> sources, targets;
  int64_t* source = nullptr;  // in the tile's buffer
  int64_t* target = nullptr;  // in a channel of dy
};

template <>
struct WeightGradTerms<Bfloat16Pair> {
  WeightGradTerms(const Tiling& tiling, int threads, Workspace& memory)
      : sources(memory.takeForThreads<int64_t>(threads, mostTerms(tiling))),
        all_pairs(memory.takeForThreads<PositionVector>(threads, mostTerms(tiling))) {}
  static int64_t mostTerms(const Tiling& tiling) {
    return tiling.images * tiling.rows * ceilDiv(tiling.columns, 2);
  }

  WeightGradTerms of(int worker) const {
    WeightGradTerms own = *this;
    own.source = sources.of(worker);
    own.pairs = all_pairs.of(worker);
    return own;
  }
  int64_t fill(const WindowSum& sum, const Tiling& tiling, const TileRange& range) const {
    const int64_t count = fillVectors(sum, tiling, range, pairs, 2);
    for (int64_t i = 0; i < count; ++i) source[i] = pairs[i].source;
    return count;
  }
  void pack(const float* dy, int64_t plane, int64_t channels, int64_t first, int64_t count,
            Bfloat16Pair* panel) const {
    packPanel(dy, plane, channels, pairs + first, count, panel);
  }

  // That these terms have.
  int64_t positions(int64_t first, int64_t count) const {
    int64_t all = 0;
    for (int64_t i = first; i < first + count; ++i) all += pairs[i].width;
    return all;
  }

  ThreadArrays<int64_t> sources;
  ThreadArrays<PositionVector> all_pairs;
  int64_t* source = nullptr;
  PositionVector* pairs = nullptr;
};

// How a tile's buffer is read; pairs of positions need a line's room. Codes in pairs are exact
// whole numbers, and the sums are still to be multiplied by their scale.
template <class Source>
auto weightGradRows(const WindowSum& sum, const Source& x, float* /*line*/, float /*element*/) {
  return rowsOfSource(sum, x);
}
template <class Source>
auto weightGradRows(const WindowSum& sum, const Source& x, float* line, Bfloat16Pair /*element*/) {
  constexpr bool kCodes = std::is_same_v<Source, Codes>;
  auto rows = rowsOfSource(sum, x);
  if constexpr (kCodes) rows.codes.scale = 1;
  return PositionPairRows<decltype(rows)>{rows, kCodes, line};
}
template <class T, class Source>
float weightGradScale(const Source& x) {
  if constexpr (std::is_same_v<Source, Codes> && std::is_same_v<T, Bfloat16Pair>) return x.scale;
  return 1;
}

}  // namespace simaqat::kernels
