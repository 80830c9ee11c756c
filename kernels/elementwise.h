// The versions of the kernels in isa.h's table.
#pragma once

#include <cstdint>

#include "kernels/fake_quantize.h"

namespace simaqat::kernels {

#define SIMAQAT_ELEMENTWISE_KERNELS                                                                \
  void fakeQuantize(const float* x, int64_t n, float scale, float zero_point, float qmin,          \
                    float qmax, float* y);                                                         \
  void fakeQuantizeGrad(const float* x, const float* dy, int64_t n, float scale, float zero_point, \
                        float qmin, float qmax, float* dx);                                        \
  void quantizeUint8(const float* x, int64_t n, float scale, float zero_point, float qmin,         \
                     float qmax, uint8_t* codes);                                                  \
  void quantizeInt8(const float* x, int64_t n, float scale, float zero_point, float qmin,          \
                    float qmax, int8_t* codes);                                                    \
  bool quantizeLine(const float* x, int64_t n, const LineToCodes& line, uint8_t* codes);           \
  void minMax(const float* x, int64_t n, float* lo, float* hi);

namespace baseline {
SIMAQAT_ELEMENTWISE_KERNELS
}
namespace avx512 {
SIMAQAT_ELEMENTWISE_KERNELS
}

#undef SIMAQAT_ELEMENTWISE_KERNELS

}  // namespace simaqat::kernels
