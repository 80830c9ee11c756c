// The terms of a weight gradient's sum over a tile's positions: where they lie, and dy at them as a
// panel. A term of floats is a position, one of bfloat16 numbers two that are neighbours in a row,
// of which the second may be missing.
#pragma once

#include "kernels/bfloat16.h"
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
      : most(tiling.positions()),
        source(memory.take<int64_t>(threads * most)),
        target(memory.take<int64_t>(threads * most)) {}

  WeightGradTerms of(int worker) const {
    WeightGradTerms own = *this;
    own.source += worker * most;
    own.target += worker * most;
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

  int64_t most;
  int64_t* source;  // in the tile's buffer
  int64_t* target;  // in a channel of dy
};

template <>
struct WeightGradTerms<Bfloat16Pair> {
  WeightGradTerms(const Tiling& tiling, int threads, Workspace& memory)
      : most(tiling.images * tiling.rows * ceilDiv(tiling.columns, 2)),
        source(memory.take<int64_t>(threads * most)),
        pairs(memory.take<PositionVector>(threads * most)) {}

  WeightGradTerms of(int worker) const {
    WeightGradTerms own = *this;
    own.source += worker * most;
    own.pairs += worker * most;
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

  int64_t most;
  int64_t* source;
  PositionVector* pairs;
};

}  // namespace simaqat::kernels
