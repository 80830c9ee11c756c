// Max and average pooling over one to three spatial axes, and global average pooling; float32, and
// max pooling on 8-bit codes too.
//
// Arrays are [planes, in...] and [planes, out...], planes being batch times channels. Window p
// covers the input positions p * stride - pad_begin + t * dilation for t in [0, kernel) that exist.
// Rounding of the output size (ceil_mode) follows from `out`.
#pragma once

#include <array>
#include <cstdint>

#include "qat/base/thread_pool.h"

namespace simaqat::kernels {

// Spatial axes are the last of three; unused leading ones have size, kernel, stride and dilation 1
// and padding 0.
struct PoolShape {
  int64_t planes = 1;
  std::array<int64_t, 3> in{1, 1, 1};
  std::array<int64_t, 3> out{1, 1, 1};
  std::array<int64_t, 3> kernel{1, 1, 1};
  std::array<int64_t, 3> stride{1, 1, 1};
  std::array<int64_t, 3> dilation{1, 1, 1};
  std::array<int64_t, 3> pad_begin{0, 0, 0};
  std::array<int64_t, 3> pad_end{0, 0, 0};  // only counted, by count_include_pad
};

// y = the window's maximum; NaN where it holds one. -infinity for a window of padding alone.
// T is float or uint8_t.
template <class T>
void maxPool(const PoolShape& shape, const T* x, T* y, ThreadPool& pool);
// dx = the sum of dy over the windows whose first maximum, in scan order, the position is (with
// NaNs: whose last NaN), as PyTorch has it. The maximum is found again, from x.
template <class T>
void maxPoolGrad(const PoolShape& shape, const T* x, const float* dy, float* dx,
                 ThreadPool& pool);

// y = the window's sum over its size: of its positions in the input, or with count_include_pad
// also those in the padding (but none beyond it, where ceil_mode reaches).
void averagePool(const PoolShape& shape, bool count_include_pad, const float* x, float* y,
                 ThreadPool& pool);
void averagePoolGrad(const PoolShape& shape, bool count_include_pad, const float* dy, float* dx,
                     ThreadPool& pool);

// y[plane] = the mean of x[plane, :], added in double; and its gradient.
void globalAveragePool(const float* x, int64_t planes, int64_t size, float* y, ThreadPool& pool);
void globalAveragePoolGrad(const float* dy, int64_t planes, int64_t size, float* dx,
                           ThreadPool& pool);

}  // namespace simaqat::kernels
