// Between planes of channels, as tensors hold them, and panels, in which channels are neighbours.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "kernels/bfloat16.h"
#include "kernels/expect.h"
#include "kernels/panel_product.h"
#include "kernels/window_sum.h"

namespace simaqat::kernels {

// Whether kLanes positions from p on are neighbours.
inline bool areNeighbours(const int64_t* position, int64_t p, int64_t count) {
  return p + kLanes <= count && position[p + kLanes - 1] == position[p] + kLanes - 1;
}

// Where the next ones are, or the end.
inline int64_t nextNeighbours(const int64_t* position, int64_t p, int64_t count) {
  while (p < count && !areNeighbours(position, p, count)) ++p;
  return p;
}

// panel[p][c] = dy[c * plane + position[p]] for `channels` channels of at most a panel, zero
// behind them.
inline void packPanel(const float* dy, int64_t plane, int64_t channels, const int64_t* position,
                      int64_t count, float* panel) {
  for (int64_t c0 = 0; c0 < kPanel<float>; c0 += kLanes) {
    const int64_t some = std::clamp<int64_t>(channels - c0, 0, kLanes);
    const float* from = dy + c0 * plane;
    float* to = panel + c0;
    int64_t p = 0;
    while (p < count) {
      const int64_t single = nextNeighbours(position, p, count);
      // Planes are often a power of two apart, where their lines drive each other out of the cache: one
      // after the other.
      for (int64_t c = 0; c < kLanes; ++c) {
        for (int64_t i = p; i < single; ++i) {
          to[i * kPanel<float> + c] = c < some ? from[c * plane + position[i]] : 0.0f;
        }
      }
      p = single;
      if (p == count) break;
      PacketSquare square;
      for (int64_t c = 0; c < kLanes; ++c) {
        square.packet[c] = broadcast(0.0f);
        if (c >= some) continue;
        const float* row = from + c * plane + position[p];
        expectToRead(row, kPanelDepth);
        square.packet[c] = load(row);
      }
      Eigen::internal::ptranspose(square);
      for (int64_t i = 0; i < kLanes; ++i) store(to + (p + i) * kPanel<float>, square.packet[i]);
      p += kLanes;
    }
  }
}

// Whether kLanes pairs from p on are 2 kLanes neighbours.
inline bool areNeighbours(const PositionVector* pair, int64_t p, int64_t count) {
  if (p + kLanes > count) return false;
  const PositionVector& last = pair[p + kLanes - 1];
  return last.target == pair[p].target + 2 * (kLanes - 1) && last.width == 2;
}

// The same of pairs: panel[p][c] = dy[c * plane + target of pair p] and its neighbour, or zero
// where there is none.
inline void packPanel(const float* dy, int64_t plane, int64_t channels, const PositionVector* pair,
                      int64_t count, Bfloat16Pair* panel) {
  for (int64_t c0 = 0; c0 < kPanel<float>; c0 += kLanes) {
    const int64_t some = std::clamp<int64_t>(channels - c0, 0, kLanes);
    const float* from = dy + c0 * plane;
    Bfloat16Pair* to = panel + c0;
    int64_t p = 0;
    while (p < count) {
      int64_t single = p;
      while (single < count && !areNeighbours(pair, single, count)) ++single;
      for (int64_t c = 0; c < kLanes; ++c) {
        for (int64_t i = p; i < single; ++i) {
          const float* at = from + c * plane + pair[i].target;
          to[i * kPanel<float> + c] =
              c >= some ? Bfloat16Pair{0} : pairOf(at[0], pair[i].width == 2 ? at[1] : 0.0f);
        }
      }
      p = single;
      if (p == count) break;
      PacketSquare square;
      for (int64_t c = 0; c < kLanes; ++c) {
        square.packet[c] = broadcast(0.0f);
        if (c >= some) continue;
        const float* row = from + c * plane + pair[p].target;
        expectToRead(row, kPanelDepth);
        square.packet[c] = loadPairs(row);
      }
      Eigen::internal::ptranspose(square);
      for (int64_t i = 0; i < kLanes; ++i) {
        store(to + (p + i) * kPanel<float>, square.packet[i]);
      }
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
  int64_t p = 0;
  while (p < count) {
    const int64_t single = nextNeighbours(position, p, count);
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t i = p; i < single; ++i) {
        y[c * plane + position[i]] = static_cast<float>(results[i * kPanel<T> + c]);
      }
    }
    p = single;
    if (p == count) break;
    for (int64_t c0 = 0; c0 < channels; c0 += kLanes) {
      PacketSquare square;
      for (int64_t i = 0; i < kLanes; ++i) {
        square.packet[i] = loadFloats(results + (p + i) * kPanel<T> + c0);
      }
      Eigen::internal::ptranspose(square);
      for (int64_t c = c0; c < std::min(channels, c0 + kLanes); ++c) {
        float* to = y + c * plane + position[p];
        expectToWrite(to, kPanelDepth);
        store(to, square.packet[c - c0]);
      }
    }
    p += kLanes;
  }
}

}  // namespace simaqat::kernels
