#include "kernels/bit_mask.h"

#include "kernels/packet.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace simaqat::kernels {
namespace {

constexpr int64_t kGrain = 1 << 15;  // whole bytes of the mask
constexpr int64_t kByte = 8;

bool bit(const uint8_t* mask, int64_t i) { return (mask[i / kByte] >> (i % kByte) & 1) != 0; }

#if defined(__AVX2__)
// All bits of the elements whose bit the byte has.
__m256 lanesOf(uint8_t byte) {
  const __m256i bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  return _mm256_castsi256_ps(
      _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(byte), bits), bits));
}

uint8_t byteWithin(const float* x, float lo, float hi) {
  const __m256 v = _mm256_loadu_ps(x);
  const __m256 within = _mm256_and_ps(_mm256_cmp_ps(v, _mm256_set1_ps(lo), _CMP_GE_OQ),
                                      _mm256_cmp_ps(v, _mm256_set1_ps(hi), _CMP_LE_OQ));
  return static_cast<uint8_t>(_mm256_movemask_ps(within));
}

void selectEight(const float* x, uint8_t byte, float* y) {
  _mm256_storeu_ps(y, _mm256_and_ps(_mm256_loadu_ps(x), lanesOf(byte)));
}

void expandEight(uint8_t byte, float* y) {
  _mm256_storeu_ps(y, _mm256_and_ps(_mm256_set1_ps(1.0f), lanesOf(byte)));
}
#else
uint8_t byteWithin(const float* x, float lo, float hi) {
  uint32_t byte = 0;
  for (uint32_t i = 0; i < kByte; ++i) byte |= (x[i] >= lo && x[i] <= hi ? 1u : 0u) << i;
  return static_cast<uint8_t>(byte);
}

void selectEight(const float* x, uint8_t byte, float* y) {
  for (int64_t i = 0; i < kByte; ++i) y[i] = bit(&byte, i) ? x[i] : 0.0f;
}

void expandEight(uint8_t byte, float* y) {
  for (int64_t i = 0; i < kByte; ++i) y[i] = bit(&byte, i) ? 1.0f : 0.0f;
}
#endif

}  // namespace

void maskWithin(const float* x, int64_t n, float lo, float hi, uint8_t* mask) {
  int64_t i = 0;
  for (; i + kByte <= n; i += kByte) *mask++ = byteWithin(x + i, lo, hi);
  if (i == n) return;
  uint32_t byte = 0;
  for (int64_t k = 0; i + k < n; ++k) byte |= (x[i + k] >= lo && x[i + k] <= hi ? 1u : 0u) << k;
  *mask = static_cast<uint8_t>(byte);
}

void expandMask(const uint8_t* mask, int64_t begin, int64_t n, float* y) {
  int64_t i = 0;
  if (begin % kByte == 0) {
    for (; i + kByte <= n; i += kByte) expandEight(mask[(begin + i) / kByte], y + i);
  }
  for (; i < n; ++i) y[i] = bit(mask, begin + i) ? 1.0f : 0.0f;
}

void maskGradient(const float* dy, const uint8_t* mask, int64_t n, float* dx, ThreadPool& pool) {
  pool.runRanges(n, kGrain, [&](int64_t begin, int64_t end) {
    int64_t i = begin;
    for (; i + kByte <= end; i += kByte) selectEight(dy + i, mask[i / kByte], dx + i);
    for (; i < end; ++i) dx[i] = bit(mask, i) ? dy[i] : 0.0f;
  });
}

}  // namespace simaqat::kernels
