// Integer arithmetic: every version gives the same sums.
#include "kernels/code_product.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace simaqat::kernels {
namespace baseline {
#if defined(__AVX2__)
namespace {

// u8 x s8 in 16-bit pairs, whose products add up in 32 bits: the instruction for bytes saturates.
// The even bytes of a word make one pair, the odd ones another.
template <int kVectors>
void multiplyVectors(const CodeProduct& p, int64_t first, CodeSums& sums) {
  const __m256i low_bytes = _mm256_set1_epi16(0xff);
  __m256i sum[kCodeChannels][kVectors];
  const uint32_t* source[kVectors];
  for (int v = 0; v < kVectors; ++v) source[v] = p.source + p.start[first + v];
  for (int c = 0; c < kCodeChannels; ++c) {
    for (int v = 0; v < kVectors; ++v) sum[c][v] = _mm256_setzero_si256();
  }
  const uint32_t* w = p.weights;
  for (int64_t k = 0; k < p.taps; ++k, w += kCodeChannels) {
    __m256i even[kVectors], odd[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      const __m256i x =
          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(source[v] + p.offset[k]));
      even[v] = _mm256_and_si256(x, low_bytes);
      odd[v] = _mm256_srli_epi16(x, 8);
    }
    for (int c = 0; c < kCodeChannels; ++c) {
      const __m256i both = _mm256_set1_epi32(static_cast<int32_t>(w[c]));
      const __m256i w_even = _mm256_srai_epi16(_mm256_slli_epi16(both, 8), 8);
      const __m256i w_odd = _mm256_srai_epi16(both, 8);
      for (int v = 0; v < kVectors; ++v) {
        const __m256i pair = _mm256_add_epi32(_mm256_madd_epi16(even[v], w_even),
                                              _mm256_madd_epi16(odd[v], w_odd));
        sum[c][v] = _mm256_add_epi32(sum[c][v], pair);
      }
    }
  }
  for (int c = 0; c < kCodeChannels; ++c) {
    for (int v = 0; v < kVectors; ++v) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums[c][first + v]), sum[c][v]);
    }
  }
}

}  // namespace

void multiplyCodes(const CodeProduct& p, CodeSums& sums) {
  for (int64_t v = 0; v < p.vectors; v += 2) multiplyVectors<2>(p, v, sums);
}
#else
void multiplyCodes(const CodeProduct& p, CodeSums& sums) {
  for (int64_t v = 0; v < p.vectors; ++v) {
    int32_t sum[kCodeChannels][kCodeLanes] = {};
    for (int64_t k = 0; k < p.taps; ++k) {
      const uint32_t* x = p.source + p.start[v] + p.offset[k];
      for (int64_t c = 0; c < kCodeChannels; ++c) {
        const uint32_t w = p.weights[k * kCodeChannels + c];
        for (int64_t i = 0; i < kCodeLanes; ++i) {
          for (int byte = 0; byte < 4; ++byte) {
            sum[c][i] += static_cast<int32_t>(x[i] >> (8 * byte) & 0xff) *
                         static_cast<int8_t>(w >> (8 * byte) & 0xff);
          }
        }
      }
    }
    for (int64_t c = 0; c < kCodeChannels; ++c) {
      for (int64_t i = 0; i < kCodeLanes; ++i) sums[c][v][i] = sum[c][i];
    }
  }
}
#endif
}  // namespace baseline

#if defined(__x86_64__)
#define SIMAQAT_VNNI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
namespace avx512vnni {
namespace {

// 256-bit vectors: this way two instructions go in a cycle, and rows of 8 fill a vector.
template <int kVectors>
SIMAQAT_VNNI void multiplyVectors(const CodeProduct& p, CodeSums& sums) {
  __m256i sum[kCodeChannels][kVectors];
  const uint32_t* source[kVectors];
  for (int v = 0; v < kVectors; ++v) source[v] = p.source + p.start[v];
  for (int c = 0; c < kCodeChannels; ++c) {
    for (int v = 0; v < kVectors; ++v) sum[c][v] = _mm256_setzero_si256();
  }
  const uint32_t* w = p.weights;
  for (int64_t k = 0; k < p.taps; ++k, w += kCodeChannels) {
    __m256i x[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      x[v] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(source[v] + p.offset[k]));
    }
    for (int c = 0; c < kCodeChannels; ++c) {
      const __m256i weight = _mm256_set1_epi32(static_cast<int32_t>(w[c]));
      for (int v = 0; v < kVectors; ++v) sum[c][v] = _mm256_dpbusd_epi32(sum[c][v], x[v], weight);
    }
  }
  for (int c = 0; c < kCodeChannels; ++c) {
    for (int v = 0; v < kVectors; ++v) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums[c][v]), sum[c][v]);
    }
  }
}

}  // namespace

SIMAQAT_VNNI void multiplyCodes(const CodeProduct& p, CodeSums& sums) {
  if (p.vectors > 4) {
    multiplyVectors<6>(p, sums);
  } else if (p.vectors > 2) {
    multiplyVectors<4>(p, sums);
  } else {
    multiplyVectors<2>(p, sums);
  }
}

}  // namespace avx512vnni
#undef SIMAQAT_VNNI
#endif

}  // namespace simaqat::kernels
