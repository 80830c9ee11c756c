// bfloat16 numbers: the upper half of a float32 one, with 8 bits of precision. In plain arithmetic,
// which becomes vector instructions in a loop.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/packet.h"

namespace simaqat::kernels {

inline uint32_t bitsOf(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  return bits;
}

inline float floatOfBits(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof(x));
  return x;
}

// The bits of x rounded to bfloat16, ties to even, in the upper half. A NaN stays one.
inline uint32_t roundedToBfloat16(float x) {
  const uint32_t bits = bitsOf(x);
  const uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u;
  return x != x ? 0x7fc00000u : rounded;
}

// Two neighbours along the sum of a dot product, as the processor's instructions take them: the
// first in the lower half.
struct Bfloat16Pair {
  uint32_t bits;
};

inline Bfloat16Pair pairOf(float first, float second) {
  return {roundedToBfloat16(first) >> 16 | roundedToBfloat16(second)};
}

inline float firstOf(Bfloat16Pair pair) { return floatOfBits(pair.bits << 16); }
inline float secondOf(Bfloat16Pair pair) { return floatOfBits(pair.bits & 0xffff0000u); }

// kLanes of them, in what holds as many floats: roundedToBfloat16, and the pairs of what it gives.
inline Packet roundedToBfloat16(const Packet& x) {
#if defined(__AVX2__)
  const __m256i bits = _mm256_castps_si256(x);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i sum =
      _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i rounded = _mm256_and_si256(sum, _mm256_set1_epi32(-0x10000));
  return _mm256_blendv_ps(_mm256_castsi256_ps(rounded), broadcast(floatOfBits(0x7fc00000u)),
                          _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
#else
  float lanes[kLanes];
  store(lanes, x);
  for (float& lane : lanes) lane = floatOfBits(roundedToBfloat16(lane));
  return load(lanes);
#endif
}
inline Packet pairsOfRounded(const Packet& first, const Packet& second) {
#if defined(__AVX2__)
  return _mm256_castsi256_ps(_mm256_or_si256(_mm256_srli_epi32(_mm256_castps_si256(first), 16),
                                             _mm256_castps_si256(second)));
#else
  float a[kLanes], b[kLanes];
  store(a, first);
  store(b, second);
  for (int i = 0; i < kLanes; ++i) a[i] = floatOfBits(bitsOf(a[i]) >> 16 | bitsOf(b[i]));
  return load(a);
#endif
}
inline Packet pairsOf(const Packet& first, const Packet& second) {
  return pairsOfRounded(roundedToBfloat16(first), roundedToBfloat16(second));
}
// Of 2 kLanes neighbours.
inline Packet loadPairs(const float* from) {
  Packet even, odd;
  deinterleave(load(from), load(from + kLanes), even, odd);
  return pairsOf(even, odd);
}
inline void store(Bfloat16Pair* to, const Packet& pairs) {
  std::memcpy(to, &pairs, sizeof(pairs));
}

// pairs[i] = (first[i], second[i]).
inline void makePairs(const float* first, const float* second, int64_t count, Bfloat16Pair* pairs) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    store(pairs + i, pairsOf(load(first + i), load(second + i)));
  }
  for (; i < count; ++i) pairs[i] = pairOf(first[i], second[i]);
}

}  // namespace simaqat::kernels
