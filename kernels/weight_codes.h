// The codes of fake-quantized weights.
#pragma once

#include <cstdint>
#include <cstring>

namespace simaqat::kernels {

// round(v) for |v| < 2^22, ties to even, as bits that can be tested: adding 1.5 * 2^23 leaves the
// integer in the lowest bits.
inline int32_t roundToInteger(float v) {
  const float shifted = v + 12582912.0f;
  int32_t bits;
  std::memcpy(&bits, &shifted, sizeof(bits));
  return bits - 0x4b400000;
}

// The code of code * scale; 0 of a NaN or an infinity, which no code tells.
inline int32_t codeOfWeight(float value, float scale) {
  const float quotient = value / scale;
  return roundToInteger(quotient > -256.0f && quotient < 256.0f ? quotient : 0.0f);
}

}  // namespace simaqat::kernels
