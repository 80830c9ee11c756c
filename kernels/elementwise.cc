// One source for each kernel, compiled once for the baseline and once more for AVX-512 by function
// target attributes: with no contraction allowed, both do the same arithmetic.
#include "kernels/elementwise.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <cstring>
#include <limits>

#include "kernels/quantizer_formula.h"

namespace simaqat::kernels {
namespace {

// In a vector register of the baseline.
#if defined(__AVX__)
constexpr int kBaselineFloats = 8;
#else
constexpr int kBaselineFloats = 4;
#endif

SIMAQAT_INLINE void fakeQuantizeLoop(const float* x, int64_t n, float scale, float zero_point,
                                     float qmin, float qmax, float* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = fakeQuantized(x[i], scale, zero_point, qmin, qmax);
}

SIMAQAT_INLINE void fakeQuantizeGradLoop(const float* x, const float* dy, int64_t n, float scale,
                                         float zero_point, float qmin, float qmax, float* dx) {
  for (int64_t i = 0; i < n; ++i) {
    dx[i] = fakeQuantizedGrad(x[i], dy[i], scale, zero_point, qmin, qmax);
  }
}

template <class Code>
SIMAQAT_INLINE void quantizeLoop(const float* x, int64_t n, float scale, float zero_point,
                                 float qmin, float qmax, Code* codes) {
  for (int64_t i = 0; i < n; ++i) {
    codes[i] =
        static_cast<Code>(static_cast<int32_t>(integerCode(x[i], scale, zero_point, qmin, qmax)));
  }
}

SIMAQAT_INLINE bool quantizeLineLoop(const float* x, int64_t n, const LineToCodes& line,
                                     uint8_t* codes) {
  const float center = line.center, factor = line.factor, offset = line.offset;
  const float scale = line.scale, zero_point = line.zero_point;
  // Codes have the order of values, so that the bounds' codes bound the codes.
  const float low = integerCode(line.lo, scale, zero_point, line.qmin, line.qmax);
  const float bound = integerCode(line.hi, scale, zero_point, line.qmin, line.qmax);
  // Nothing is greater than NaN; that nothing is less, integerCode's qmin says already.
  const float high = line.hi != line.hi ? line.qmax : bound;
  uint32_t nan = 0;
  for (int64_t i = 0; i < n; ++i) {
    const float y = (x[i] - center) * factor + offset;
    nan |= y != y ? 1u : 0u;
    codes[i] =
        static_cast<uint8_t>(static_cast<int32_t>(integerCode(y, scale, zero_point, low, high)));
  }
  return nan != 0;
}

// What a vector of lanes has seen becomes the result, with the elements behind the last vector.
void finishMinMax(const float* low, const float* high, int lanes, bool bad, const float* rest,
                  int64_t n, float* lo, float* hi) {
  float l = low[0];
  float h = high[0];
  for (int i = 1; i < lanes; ++i) {
    l = low[i] < l ? low[i] : l;
    h = high[i] > h ? high[i] : h;
  }
  for (int64_t i = 0; i < n; ++i) {
    l = rest[i] < l ? rest[i] : l;
    h = rest[i] > h ? rest[i] : h;
    bad |= rest[i] != rest[i];
  }
  // Which of two equal zeros came first must not show.
  *lo = bad ? std::numeric_limits<float>::quiet_NaN() : l + 0.0f;
  *hi = bad ? std::numeric_limits<float>::quiet_NaN() : h + 0.0f;
}

}  // namespace

#define SIMAQAT_ELEMENTWISE_KERNELS(target)                                                       \
  target void fakeQuantize(const float* x, int64_t n, float scale, float zero_point, float qmin,  \
                           float qmax, float* y) {                                                \
    fakeQuantizeLoop(x, n, scale, zero_point, qmin, qmax, y);                                     \
  }                                                                                               \
  target void fakeQuantizeGrad(const float* x, const float* dy, int64_t n, float scale,           \
                               float zero_point, float qmin, float qmax, float* dx) {             \
    fakeQuantizeGradLoop(x, dy, n, scale, zero_point, qmin, qmax, dx);                            \
  }                                                                                               \
  target void quantizeUint8(const float* x, int64_t n, float scale, float zero_point, float qmin, \
                            float qmax, uint8_t* codes) {                                         \
    quantizeLoop(x, n, scale, zero_point, qmin, qmax, codes);                                     \
  }                                                                                               \
  target bool quantizeLine(const float* x, int64_t n, const LineToCodes& line, uint8_t* codes) {  \
    return quantizeLineLoop(x, n, line, codes);                                                   \
  }                                                                                               \
  target void quantizeInt8(const float* x, int64_t n, float scale, float zero_point, float qmin,  \
                           float qmax, int8_t* codes) {                                           \
    quantizeLoop(x, n, scale, zero_point, qmin, qmax, codes);                                     \
  }

namespace baseline {

SIMAQAT_ELEMENTWISE_KERNELS()

void minMax(const float* x, int64_t n, float* lo, float* hi) {
  // Two vectors at a time hide each other's latency.
  typedef float Floats __attribute__((vector_size(kBaselineFloats * sizeof(float))));
  typedef int32_t Masks __attribute__((vector_size(kBaselineFloats * sizeof(int32_t))));
  Floats low = std::numeric_limits<float>::infinity() - Floats{}, low2 = low;
  Floats high = -low, high2 = high;
  Masks bad{};
  int64_t i = 0;
  for (; i + 2 * kBaselineFloats <= n; i += 2 * kBaselineFloats) {
    Floats v, v2;
    std::memcpy(&v, x + i, sizeof(v));
    std::memcpy(&v2, x + i + kBaselineFloats, sizeof(v2));
    low = v < low ? v : low;
    high = v > high ? v : high;
    low2 = v2 < low2 ? v2 : low2;
    high2 = v2 > high2 ? v2 : high2;
    bad |= (v != v) | (v2 != v2);
  }
  low = low2 < low ? low2 : low;
  high = high2 > high ? high2 : high;
  float lows[kBaselineFloats], highs[kBaselineFloats];
  std::memcpy(lows, &low, sizeof(lows));
  std::memcpy(highs, &high, sizeof(highs));
  bool any_bad = false;
  for (int lane = 0; lane < kBaselineFloats; ++lane) any_bad |= bad[lane] != 0;
  finishMinMax(lows, highs, kBaselineFloats, any_bad, x + i, n - i, lo, hi);
}

}  // namespace baseline

#if defined(__x86_64__)
namespace avx512 {

#define SIMAQAT_AVX512 \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")))

SIMAQAT_ELEMENTWISE_KERNELS(SIMAQAT_AVX512)

SIMAQAT_AVX512 void minMax(const float* x, int64_t n, float* lo, float* hi) {
  constexpr int kWidth = 16;
  __m512 low = _mm512_set1_ps(std::numeric_limits<float>::infinity());
  __m512 high = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
  __m512 low2 = low, high2 = high;
  __mmask16 bad = 0;
  int64_t i = 0;
  for (; i + 2 * kWidth <= n; i += 2 * kWidth) {
    const __m512 v = _mm512_loadu_ps(x + i), v2 = _mm512_loadu_ps(x + i + kWidth);
    // Of an unordered pair the second one is the result.
    low = _mm512_mask_min_ps(low, 0xffff, v, low);
    high = _mm512_mask_max_ps(high, 0xffff, v, high);
    low2 = _mm512_mask_min_ps(low2, 0xffff, v2, low2);
    high2 = _mm512_mask_max_ps(high2, 0xffff, v2, high2);
    // Unordered where either is NaN.
    bad |= _mm512_cmp_ps_mask(v, v2, _CMP_UNORD_Q);
  }
  alignas(64) float lows[2 * kWidth], highs[2 * kWidth];
  _mm512_store_ps(lows, low);
  _mm512_store_ps(lows + kWidth, low2);
  _mm512_store_ps(highs, high);
  _mm512_store_ps(highs + kWidth, high2);
  finishMinMax(lows, highs, 2 * kWidth, bad != 0, x + i, n - i, lo, hi);
}

#undef SIMAQAT_AVX512
}  // namespace avx512
#endif

}  // namespace simaqat::kernels
