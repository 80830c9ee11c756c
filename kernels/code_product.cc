// Integer arithmetic: every version gives the same sums.
#include "kernels/code_product.h"

#include <algorithm>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace simaqat::kernels {
namespace baseline {
#if defined(__AVX2__)
namespace {

// u8 x s8 in 16-bit pairs, whose products add up in 32 bits: the instruction for bytes saturates.
// The even bytes of a word make one pair, the odd ones another. The weights' pairs are made once for
// all vectors of a call, so many taps at a time as stay in the L1 cache.
constexpr int64_t kTapsAtOnce = 256;
struct WeightPairs {
  int32_t even_and_odd[kTapsAtOnce][kCodeChannels][2];
};

void expand(const uint32_t* weights, int64_t taps, WeightPairs& pairs) {
  static_assert(kCodeChannels == 4);
  const __m256i order = _mm256_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15,  //
                                         0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15);
  for (int64_t k = 0; k < taps; ++k) {
    const __m128i codes =
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(weights + k * kCodeChannels));
    const __m256i wide = _mm256_shuffle_epi8(_mm256_cvtepi8_epi16(codes), order);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(pairs.even_and_odd[k]), wide);
  }
}

__m256i* lanesOf(CodeSums& sums, int64_t channel, int64_t vector) {
  return reinterpret_cast<__m256i*>(sums[channel][vector]);
}

// Adds the taps [begin, begin + taps), whose weights are `pairs`, to what sums hold.
template <int kVectors>
void multiplyVectors(const CodeProduct& p, const WeightPairs& pairs, int64_t begin, int64_t taps,
                     int64_t first, CodeSums& sums) {
  const __m256i low_bytes = _mm256_set1_epi16(0xff);
  __m256i sum[kCodeChannels][kVectors];
  const uint32_t* source[kVectors];
  for (int v = 0; v < kVectors; ++v) source[v] = p.source + p.start[first + v];
  for (int c = 0; c < kCodeChannels; ++c) {
    for (int v = 0; v < kVectors; ++v) {
      sum[c][v] = begin == 0 ? _mm256_setzero_si256()
                             : _mm256_loadu_si256(lanesOf(sums, c, first + v));
    }
  }
  const int64_t* offset = p.offset + begin;
  for (int64_t k = 0; k < taps; ++k) {
    __m256i even[kVectors], odd[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(source[v] + offset[k]));
      even[v] = _mm256_and_si256(x, low_bytes);
      odd[v] = _mm256_srli_epi16(x, 8);
    }
    for (int c = 0; c < kCodeChannels; ++c) {
      const __m256i w_even = _mm256_set1_epi32(pairs.even_and_odd[k][c][0]);
      const __m256i w_odd = _mm256_set1_epi32(pairs.even_and_odd[k][c][1]);
      for (int v = 0; v < kVectors; ++v) {
        sum[c][v] = _mm256_add_epi32(sum[c][v], _mm256_madd_epi16(even[v], w_even));
        sum[c][v] = _mm256_add_epi32(sum[c][v], _mm256_madd_epi16(odd[v], w_odd));
      }
    }
  }
  for (int c = 0; c < kCodeChannels; ++c) {
    for (int v = 0; v < kVectors; ++v) _mm256_storeu_si256(lanesOf(sums, c, first + v), sum[c][v]);
  }
}

}  // namespace

void multiplyCodes(const CodeProduct& p, CodeSums& sums) {
  WeightPairs pairs;
  for (int64_t begin = 0; begin == 0 || begin < p.taps; begin += kTapsAtOnce) {
    const int64_t taps = std::min(kTapsAtOnce, p.taps - begin);
    expand(p.weights + begin * kCodeChannels, taps, pairs);
    for (int64_t v = 0; v < p.vectors; v += 2) {
      multiplyVectors<2>(p, pairs, begin, taps, v, sums);
    }
  }
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

// Two rows of lanes in a vector, from places that may lie apart.
SIMAQAT_VNNI inline __m512i loadLanes(const uint32_t* low, const uint32_t* high) {
  const __m256i lower = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(low));
  const __m256i upper = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(high));
  return _mm512_maskz_inserti64x4(0xff, _mm512_castsi256_si512(lower), upper, 1);
}

template <int kPairs>
SIMAQAT_VNNI void multiplyVectors(const CodeProduct& p, CodeSums& sums) {
  static_assert(2 * kCodeLanes * sizeof(int32_t) == sizeof(__m512i));
  __m512i sum[kCodeChannels][kPairs];
  const uint32_t* source[2 * kPairs];
#pragma GCC unroll 6
  for (int v = 0; v < 2 * kPairs; ++v) source[v] = p.source + p.start[v];
#pragma GCC unroll 4
  for (int c = 0; c < kCodeChannels; ++c) {
#pragma GCC unroll 3
    for (int v = 0; v < kPairs; ++v) sum[c][v] = _mm512_setzero_si512();
  }
  const uint32_t* w = p.weights;
  for (int64_t k = 0; k < p.taps; ++k, w += kCodeChannels) {
    const int64_t offset = p.offset[k];
    __m512i x[kPairs];
#pragma GCC unroll 3
    for (int v = 0; v < kPairs; ++v) {
      x[v] = loadLanes(source[2 * v] + offset, source[2 * v + 1] + offset);
    }
#pragma GCC unroll 4
    for (int c = 0; c < kCodeChannels; ++c) {
      const __m512i weight = _mm512_set1_epi32(static_cast<int32_t>(w[c]));
#pragma GCC unroll 3
      for (int v = 0; v < kPairs; ++v) sum[c][v] = _mm512_dpbusd_epi32(sum[c][v], x[v], weight);
    }
  }
#pragma GCC unroll 4
  for (int c = 0; c < kCodeChannels; ++c) {
#pragma GCC unroll 3
    for (int v = 0; v < kPairs; ++v) _mm512_storeu_si512(sums[c][2 * v], sum[c][v]);
  }
}

}  // namespace

SIMAQAT_VNNI void multiplyCodes(const CodeProduct& p, CodeSums& sums) {
  if (p.vectors > 4) {
    multiplyVectors<3>(p, sums);
  } else if (p.vectors > 2) {
    multiplyVectors<2>(p, sums);
  } else {
    multiplyVectors<1>(p, sums);
  }
}

}  // namespace avx512vnni
#undef SIMAQAT_VNNI
#elif defined(__aarch64__)
#define SIMAQAT_DOTPROD __attribute__((target("arch=armv8.2-a+dotprod")))
namespace dotprod {
namespace {

// Four positions' codes less 128, since the instruction multiplies signed bytes.
SIMAQAT_DOTPROD inline int8x16_t loadSigned(const uint32_t* source) {
  return vreinterpretq_s8_u8(veorq_u8(vreinterpretq_u8_u32(vld1q_u32(source)), vdupq_n_u8(0x80)));
}

// The sums of vectors `first` and the next one, which begin with `start` of each channel.
SIMAQAT_DOTPROD void multiplyTwo(const CodeProduct& p, int64_t first,
                                 const int32_t (&start)[kCodeChannels], CodeSums& sums) {
  constexpr int kParts = 4;  // quarters of the two vectors
  static_assert(kParts * 4 == 2 * kCodeLanes && kCodeChannels == 4);
  int32x4_t sum[kCodeChannels][kParts];
  for (int c = 0; c < kCodeChannels; ++c) {
    for (int i = 0; i < kParts; ++i) sum[c][i] = vdupq_n_s32(start[c]);
  }
  const uint32_t* low = p.source + p.start[first];
  const uint32_t* high = p.source + p.start[first + 1];
  const auto* weights = reinterpret_cast<const int8_t*>(p.weights);
  for (int64_t k = 0; k < p.taps; ++k, weights += kCodeChannels * kCodesOfWord) {
    const int8x16_t w = vld1q_s8(weights);
    const int64_t offset = p.offset[k];
    const int8x16_t x[kParts] = {loadSigned(low + offset), loadSigned(low + offset + 4),
                                 loadSigned(high + offset), loadSigned(high + offset + 4)};
    for (int i = 0; i < kParts; ++i) {
      sum[0][i] = vdotq_laneq_s32(sum[0][i], x[i], w, 0);
      sum[1][i] = vdotq_laneq_s32(sum[1][i], x[i], w, 1);
      sum[2][i] = vdotq_laneq_s32(sum[2][i], x[i], w, 2);
      sum[3][i] = vdotq_laneq_s32(sum[3][i], x[i], w, 3);
    }
  }
  for (int c = 0; c < kCodeChannels; ++c) {
    for (int i = 0; i < kParts; ++i) vst1q_s32(sums[c][first + i / 2] + i % 2 * 4, sum[c][i]);
  }
}

}  // namespace

SIMAQAT_DOTPROD void multiplyCodes(const CodeProduct& p, CodeSums& sums) {
  // What taking 128 from every code takes from a sum: 128 times the sum of its channel's weights.
  int32x4_t weights = vdupq_n_s32(0);
  for (int64_t k = 0; k < p.taps; ++k) {
    const auto* w = reinterpret_cast<const int8_t*>(p.weights + k * kCodeChannels);
    weights = vdotq_s32(weights, vld1q_s8(w), vdupq_n_s8(1));
  }
  int32_t start[kCodeChannels];
  vst1q_s32(start, vshlq_n_s32(weights, 7));
  for (int64_t v = 0; v < p.vectors; v += 2) multiplyTwo(p, v, start, sums);
}

}  // namespace dotprod
#undef SIMAQAT_DOTPROD
#endif

}  // namespace simaqat::kernels
