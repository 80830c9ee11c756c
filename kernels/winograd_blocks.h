// The geometry of Winograd's tiles: a window sum over 3x3 taps is one over tiles of kSide x kSide
// of its positions, each with kSide + 2 x kSide + 2 elements of the source, which Tiling cuts into
// blocks.
#pragma once

#include <algorithm>

#include "kernels/packet.h"
#include "kernels/window_sum.h"

namespace simaqat::kernels {

template <int kSide>
WindowSum tilesOf(WindowSum sum) {
  for (Axis* axis : {&sum.axis[1], &sum.axis[2]}) {
    axis->count = ceilDiv(axis->count, kSide);
    axis->step = kSide;
    axis->taps = kSide + 2;
  }
  return sum;
}

// Blocks of tiles as blocks of positions.
template <int kSide>
Tiling positionsOf(const WindowSum& sum, Tiling tiling) {
  tiling.rows *= kSide;
  tiling.columns *= kSide;
  tiling.row_stride = tiling.phaseColumns(sum.axis[2]);
  tiling.slice = (tiling.rows + sum.axis[1].reach()) * tiling.row_stride;
  tiling.channel_stride = tiling.slice;
  tiling.image_floats = tiling.channels * tiling.channel_stride;
  return tiling;
}

// A block of tiles as its positions, of which the last tiles' may not exist.
template <int kSide>
TileRange positionsOf(TileRange range) {
  range.row *= kSide;
  range.rows *= kSide;
  range.column *= kSide;
  range.columns *= kSide;
  return range;
}

inline TileRange existing(const WindowSum& sum, TileRange range) {
  range.rows = std::min(range.rows, sum.axis[1].count - range.row);
  range.columns = std::min(range.columns, sum.axis[2].count - range.column);
  return range;
}

// A row of kLanes neighbouring tiles of 2x2: each begins two elements behind the one before.
inline void loadTiles(const float* row, Packet (&d)[4]) {
  deinterleave(load(row), load(row + kLanes), d[0], d[1]);
  deinterleave(load(row + 2), load(row + 2 + kLanes), d[2], d[3]);
}

// What a row's last kLanes tiles of 2x2 read behind its end.
constexpr int64_t kBehindRow = 3 * kLanes;

}  // namespace simaqat::kernels
