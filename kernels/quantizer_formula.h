// The formulas of fake_quantize.h for one element. They compile to vector instructions in a loop:
// nearbyint is one, and rounds ties to even, the mode every program starts in.
#pragma once

#include "kernels/always_inline.h"

namespace simaqat::kernels {

// roundHalfToEven(x / s) + z, before the clamp.
SIMAQAT_INLINE float roundedCode(float x, float scale, float zero_point) {
  return __builtin_nearbyintf(x / scale) + zero_point;
}

// NaN stays NaN, since every comparison with it is false.
SIMAQAT_INLINE float clampCode(float code, float qmin, float qmax) {
  const float low = code < qmin ? qmin : code;
  return low > qmax ? qmax : low;
}

SIMAQAT_INLINE float fakeQuantized(float x, float scale, float zero_point, float qmin, float qmax) {
  return (clampCode(roundedCode(x, scale, zero_point), qmin, qmax) - zero_point) * scale;
}

// The straight-through estimator. The mask is decided on the rounded code; NaN is outside.
SIMAQAT_INLINE float fakeQuantizedGrad(float x, float dy, float scale, float zero_point, float qmin,
                                       float qmax) {
  const float code = roundedCode(x, scale, zero_point);
  return (code >= qmin) & (code <= qmax) ? dy : 0.0f;
}

// The same where the scale is learned: the mask is decided on the code that is not rounded (LSQ).
SIMAQAT_INLINE float learnedQuantizerGrad(float x, float dy, float scale, float zero_point,
                                          float qmin, float qmax) {
  const float code = x / scale + zero_point;
  return (code >= qmin) & (code <= qmax) ? dy : 0.0f;
}

// For codes in an integer type, which has no NaN: that becomes qmin.
SIMAQAT_INLINE float integerCode(float x, float scale, float zero_point, float qmin, float qmax) {
  const float code = roundedCode(x, scale, zero_point);
  const float low = code > qmin ? code : qmin;
  return low > qmax ? qmax : low;
}

}  // namespace simaqat::kernels
