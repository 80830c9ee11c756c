// Between planes of channels, as tensors hold them, and panels, in which channels are neighbours.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/panel_product.h"

namespace simaqat::kernels {

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
      const int64_t target = position[p];
      if (p + kLanes <= count && position[p + kLanes - 1] == target + kLanes - 1) {
        PacketSquare square;
        for (int64_t c = 0; c < kLanes; ++c) {
          square.packet[c] = c < some ? load(from + c * plane + target) : broadcast(0.0f);
        }
        Eigen::internal::ptranspose(square);
        for (int64_t i = 0; i < kLanes; ++i) store(to + (p + i) * kPanel<float>, square.packet[i]);
        p += kLanes;
      } else {
        for (int64_t c = 0; c < kLanes; ++c) {
          to[p * kPanel<float> + c] = c < some ? from[c * plane + target] : 0.0f;
        }
        ++p;
      }
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
    const T* from = results + p * kPanel<T>;
    float* to = y + position[p];
    if (p + kLanes <= count && position[p + kLanes - 1] == position[p] + kLanes - 1) {
      for (int64_t c0 = 0; c0 < channels; c0 += kLanes) {
        PacketSquare square;
        for (int64_t i = 0; i < kLanes; ++i) {
          square.packet[i] = loadFloats(from + i * kPanel<T> + c0);
        }
        Eigen::internal::ptranspose(square);
        for (int64_t c = c0; c < std::min(channels, c0 + kLanes); ++c) {
          store(to + c * plane, square.packet[c - c0]);
        }
      }
      p += kLanes;
    } else {
      for (int64_t c = 0; c < channels; ++c) to[c * plane] = static_cast<float>(from[c]);
      ++p;
    }
  }
}

}  // namespace simaqat::kernels
