// Serial loops over neighbouring elements of a channel, which isa.h's table has in several versions.
#pragma once

#include <cstdint>

#include "kernels/conv_results.h"
#include "kernels/wide_sum.h"

namespace simaqat::kernels {

// Which of dy counts: where x lies in [lo, hi], or all of it. NaN lies in no range.
struct PassedValues {
  bool all = true;
  float lo = 0, hi = 0;
};
inline float passedValue(float dy, float x, const PassedValues& passed) {
  return passed.all | ((x >= passed.lo) & (x <= passed.hi)) ? dy : 0.0f;
}

// What a channel's sums come to: dx = factor * (dy - mean_dy - (x - center) * slope).
struct GradientLine {
  float center = 0;
  float factor = 0;
  float mean_dy = 0;
  float slope = 0;
};

#define SIMAQAT_CHANNEL_LOOPS                                                                  \
  /* To what conv_results.h has of a channel. */                                               \
  void addMoments(const float* values, int64_t n, PartialMoments& moments);                    \
  /* Adds the passed dy and dy * (x - mean). What is `ahead` elements further is read soon. */ \
  void addGradients(const float* dy, const float* x, int64_t n, int64_t ahead,                 \
                    const PassedValues& passed, double mean, WideSum& first, WideSum& second); \
  /* dx may be dy. */                                                                          \
  void lineGradient(const float* dy, const float* x, int64_t n, const PassedValues& passed,    \
                    const GradientLine& line, float* dx);

namespace baseline {
SIMAQAT_CHANNEL_LOOPS
}
#if defined(__x86_64__)
namespace avx512 {
SIMAQAT_CHANNEL_LOOPS
}
#endif

#undef SIMAQAT_CHANNEL_LOOPS

}  // namespace simaqat::kernels
