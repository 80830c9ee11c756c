// Turning a matrix round.
#pragma once

#include <cstdint>

#include "kernels/packet.h"

namespace simaqat::kernels {

// out[i * out_stride + j] = in[j * in_stride + i] for i in [0, rows) and j in [0, columns), kLanes
// x kLanes at a time.
inline void transpose(const float* in, int64_t in_stride, int64_t rows, int64_t columns, float* out,
                      int64_t out_stride) {
  int64_t j = 0;
  for (; j + kLanes <= columns; j += kLanes) {
    int64_t i = 0;
    for (; i + kLanes <= rows; i += kLanes) {
      PacketSquare block;
      for (int r = 0; r < kLanes; ++r) block.packet[r] = load(in + (j + r) * in_stride + i);
      Eigen::internal::ptranspose(block);
      for (int r = 0; r < kLanes; ++r) store(out + (i + r) * out_stride + j, block.packet[r]);
    }
    for (; i < rows; ++i) {
      for (int64_t r = j; r < j + kLanes; ++r) out[i * out_stride + r] = in[r * in_stride + i];
    }
  }
  for (; j < columns; ++j) {
    for (int64_t i = 0; i < rows; ++i) out[i * out_stride + j] = in[j * in_stride + i];
  }
}

}  // namespace simaqat::kernels
