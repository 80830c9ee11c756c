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

// Of 4 kLanes neighbours, those with places 0, 1, 2 and 3 modulo 4.
inline void deinterleaveByFour(const float* from, Packet& v0, Packet& v1, Packet& v2, Packet& v3) {
  Packet even[2], odd[2];
  for (int i = 0; i < 2; ++i, from += 2 * kLanes) {
    deinterleave(load(from), load(from + kLanes), even[i], odd[i]);
  }
  deinterleave(even[0], even[1], v0, v2);
  deinterleave(odd[0], odd[1], v1, v3);
}

// A row of kLanes neighbouring tiles: each begins two, or four elements behind the one before.
inline void loadTiles(const float* row, Packet (&d)[4]) {
  deinterleave(load(row), load(row + kLanes), d[0], d[1]);
  deinterleave(load(row + 2), load(row + 2 + kLanes), d[2], d[3]);
}
inline void loadTiles(const float* row, Packet (&d)[6]) {
  Packet unused[2];
  deinterleaveByFour(row, d[0], d[1], d[2], d[3]);
  deinterleaveByFour(row + 4, d[4], d[5], unused[0], unused[1]);
}

// What a row's last kLanes tiles read behind its end.
template <int kSide>
constexpr int64_t kBehindRow = (kSide + 1) * kLanes;

}  // namespace simaqat::kernels
