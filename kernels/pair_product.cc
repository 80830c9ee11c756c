#include "kernels/pair_product.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace simaqat::kernels {
namespace {

#if defined(__AVX2__)
template <int kVectors>
void multiplyVectors(const PairProduct& p, PairSums& sums) {
  __m256i sum[kPairChannels][kVectors];
  // Constant indices, so that sums stay registers.
#pragma GCC unroll 4
  for (int c = 0; c < kPairChannels; ++c) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) sum[c][v] = _mm256_setzero_si256();
  }
  const uint32_t *source = p.source, *weights = p.weights;
  for (int64_t k = 0; k < p.depth; ++k, source += p.stride, weights += kPairChannels) {
    __m256i x[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      x[v] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(source + v * kLanes));
      asm("" : "+x"(x[v]));
    }
#pragma GCC unroll 4
    for (int c = 0; c < kPairChannels; ++c) {
      const __m256i w = _mm256_set1_epi32(static_cast<int32_t>(weights[c]));
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        sum[c][v] = _mm256_add_epi32(sum[c][v], _mm256_madd_epi16(x[v], w));
      }
    }
  }
#pragma GCC unroll 4
  for (int c = 0; c < kPairChannels; ++c) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums[c] + v * kLanes), sum[c][v]);
    }
  }
}
#else
int32_t low(uint32_t pair) { return static_cast<int16_t>(pair & 0xffff); }
int32_t high(uint32_t pair) { return static_cast<int16_t>(pair >> 16); }

template <int kVectors>
void multiplyVectors(const PairProduct& p, PairSums& sums) {
  uint32_t sum[kPairChannels][kVectors * kLanes] = {};
  const uint32_t *source = p.source, *weights = p.weights;
  for (int64_t k = 0; k < p.depth; ++k, source += p.stride, weights += kPairChannels) {
    for (int c = 0; c < kPairChannels; ++c) {
      for (int i = 0; i < kVectors * kLanes; ++i) {
        sum[c][i] += static_cast<uint32_t>(low(source[i]) * low(weights[c])) +
                     static_cast<uint32_t>(high(source[i]) * high(weights[c]));
      }
    }
  }
  for (int c = 0; c < kPairChannels; ++c) {
    for (int i = 0; i < kVectors * kLanes; ++i) sums[c][i] = static_cast<int32_t>(sum[c][i]);
  }
}
#endif

}  // namespace

void multiplyPairs(const PairProduct& product, int64_t vectors, PairSums& sums) {
  if (vectors == 1) {
    multiplyVectors<1>(product, sums);
  } else {
    multiplyVectors<kPairVectors>(product, sums);
  }
}

}  // namespace simaqat::kernels
