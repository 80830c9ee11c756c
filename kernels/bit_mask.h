// One bit an element: where a gradient passes. Bit i is bit i % 8 of byte i / 8; those behind the
// last element are 0.
#pragma once

#include <cstdint>

#include "qat/base/thread_pool.h"

namespace simaqat::kernels {

inline int64_t maskBytes(int64_t n) { return (n + 7) / 8; }

// mask = lo <= x <= hi; 0 where x is NaN.
void maskWithin(const float* x, int64_t n, float lo, float hi, uint8_t* mask);

// y = mask ? 1 : 0, for elements [begin, begin + n).
void expandMask(const uint8_t* mask, int64_t begin, int64_t n, float* y);

// dx = mask ? dy : 0. dx may be dy.
void maskGradient(const float* dy, const uint8_t* mask, int64_t n, float* dx, ThreadPool& pool);

}  // namespace simaqat::kernels
