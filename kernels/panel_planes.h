// Between planes of channels, as tensors hold them, and panels, in which channels are neighbours.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/bfloat16.h"
#include "kernels/expect.h"
#include "kernels/panel_product.h"
#include "kernels/window_sum.h"

namespace simaqat::kernels {

// What a panel has of a channel: a position, or a pair of positions that are neighbours, of which
// the second may be missing. Where the first one is, and whether kLanes from p on have no gap.
inline int64_t placeOf(int64_t position) { return position; }
inline int64_t placeOf(const PositionVector& pair) { return pair.target; }
inline bool areNeighbours(const int64_t* position, int64_t p, int64_t count) {
  return p + kLanes <= count && position[p + kLanes - 1] == position[p] + kLanes - 1;
}
inline bool areNeighbours(const PositionVector* pair, int64_t p, int64_t count) {
  if (p + kLanes > count) return false;
  const PositionVector& last = pair[p + kLanes - 1];
  return last.target == pair[p].target + 2 * (kLanes - 1) && last.width == 2;
}

// One of them, and kLanes neighbours.
inline float elementOf(const float* plane, int64_t position) { return plane[position]; }
inline Bfloat16Pair elementOf(const float* plane, const PositionVector& pair) {
  return pairOf(plane[pair.target], pair.width == 2 ? plane[pair.target + 1] : 0.0f);
}
inline Packet loadElements(const float* from, float /*element*/) { return load(from); }
inline Packet loadElements(const float* from, Bfloat16Pair /*element*/) { return loadPairs(from); }

// Where the next neighbours are, or the end.
template <class Position>
int64_t nextNeighbours(const Position* position, int64_t p, int64_t count) {
  while (p < count && !areNeighbours(position, p, count)) ++p;
  return p;
}

// panel[p][c] = dy[c * plane + position[p]] for `channels` channels of at most a panel, zero
// behind them; of pairs, that and its neighbour.
template <class Position, class T>
void packPanel(const float* dy, int64_t plane, int64_t channels, const Position* position,
               int64_t count, T* panel) {
  for (int64_t c0 = 0; c0 < kPanel<float>; c0 += kLanes) {
    const int64_t some = std::clamp<int64_t>(channels - c0, 0, kLanes);
    const float* from = dy + c0 * plane;
    T* to = panel + c0;
    int64_t p = 0;
    while (p < count) {
      const int64_t single = nextNeighbours(position, p, count);
      // Planes are often a power of two apart, where their lines drive each other out of the cache:
      // one after the other.
      for (int64_t c = 0; c < kLanes; ++c) {
        for (int64_t i = p; i < single; ++i) {
          to[i * kPanel<float> + c] = c < some ? elementOf(from + c * plane, position[i]) : T{0};
        }
      }
      p = single;
      if (p == count) break;
      PacketSquare square;
      for (int64_t c = 0; c < kLanes; ++c) {
        square.packet[c] = broadcast(0.0f);
        if (c >= some) continue;
        const float* row = from + c * plane + placeOf(position[p]);
        expectToRead(row, kPanelDepth);
        square.packet[c] = loadElements(row, T{});
      }
      Eigen::internal::ptranspose(square);
      for (int64_t i = 0; i < kLanes; ++i) store(to + (p + i) * kPanel<float>, square.packet[i]);
      p += kLanes;
    }
  }
}

// A row of a panel as floats, kLanes of them.
inline Packet loadFloats(const float* p) { return load(p); }
inline Packet loadFloats(const double* p) {
  float lanes[kLanes];
  for (int i = 0; i < kLanes; ++i) lanes[i] = static_cast<float>(p[i]);
  return load(lanes);
}

// y[c * plane + position[p]] = results[p][c] for `channels` channels of at most a panel.
template <class T>
void storeResults(const T* results, int64_t channels, const int64_t* position, int64_t count,
                  float* y, int64_t plane) {
  // kLanes channels, one after the other: as many planes as a power of two apart fit into the
  // cache.
  for (int64_t c0 = 0; c0 < channels; c0 += kLanes) {
    const int64_t end = std::min(channels, c0 + kLanes);
    int64_t p = 0;
    while (p < count) {
      const int64_t single = nextNeighbours(position, p, count);
      for (int64_t c = c0; c < end; ++c) {
        for (int64_t i = p; i < single; ++i) {
          y[c * plane + position[i]] = static_cast<float>(results[i * kPanel<T> + c]);
        }
      }
      p = single;
      if (p == count) break;
      PacketSquare square;
      for (int64_t i = 0; i < kLanes; ++i) {
        square.packet[i] = loadFloats(results + (p + i) * kPanel<T> + c0);
      }
      Eigen::internal::ptranspose(square);
      for (int64_t c = c0; c < end; ++c) {
        float* to = y + c * plane + position[p];
        expectToWrite(to, kPanelDepth);
        store(to, square.packet[c - c0]);
      }
      p += kLanes;
    }
  }
}

}  // namespace simaqat::kernels
