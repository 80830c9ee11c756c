// A float32 number as three bfloat16 ones (matrix_tiles.h), in plain arithmetic that becomes vector
// instructions in a loop.
#pragma once

#include <cstdint>

#include "kernels/bfloat16.h"

namespace simaqat::kernels {

// As the upper half of a float each: hi is x rounded, mid what is left of it rounded, and lo the rest.
// NaN and infinity make one of them NaN.
struct Split {
  uint32_t hi, mid, lo;
};
inline Split split(float x) {
  Split s;
  s.hi = roundedToBfloat16(x);
  const float rest = x - floatOfBits(s.hi);
  s.mid = roundedToBfloat16(rest);
  s.lo = roundedToBfloat16(rest - floatOfBits(s.mid));
  return s;
}

}  // namespace simaqat::kernels
