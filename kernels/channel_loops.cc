// The versions have the same eight running sums and extremes: two vectors of the baseline each, or one
// of AVX-512.
#include "kernels/channel_loops.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "kernels/quantizer_formula.h"

namespace simaqat::kernels {
namespace {

constexpr int64_t kAtOnce = 8;

// What the vectors have seen, and the elements behind the last one.
void finishMoments(const float (&least)[kAtOnce], const float (&greatest)[kAtOnce], WideSum& sum,
                   WideSum& squares, const float* rest, int64_t n, PartialMoments& moments) {
  const auto see = [&](float lo, float hi) {
    moments.lo = lo < moments.lo ? lo : moments.lo;
    moments.hi = hi > moments.hi ? hi : moments.hi;
  };
  for (int64_t k = 0; k < kAtOnce; ++k) see(least[k], greatest[k]);
  for (int64_t i = 0; i < n; ++i) {
    const double v = rest[i];
    sum.add(v);
    squares.add(v * v);
    see(rest[i], rest[i]);
  }
  moments.sum += sum.total();
  moments.squares += squares.total();
}

void finishGradients(const float* dy, const float* x, int64_t n, const PassedValues& passed,
                     double mean, WideSum& first, WideSum& second) {
  for (int64_t i = 0; i < n; ++i) {
    const double gradient = passedValue(dy[i], x[i], passed);
    first.add(gradient);
    second.add(gradient * (x[i] - mean));
  }
}

// Without branches in the loop, which would keep it from having vectors.
template <bool kAll>
SIMAQAT_INLINE void lineGradientLoop(const float* dy, const float* x, int64_t n, float lo, float hi,
                                     const GradientLine& line, float* dx) {
  const float center = line.center, factor = line.factor;
  const float mean_dy = line.mean_dy, slope = line.slope;
  for (int64_t i = 0; i < n; ++i) {
    const float gradient = kAll || ((x[i] >= lo) & (x[i] <= hi)) ? dy[i] : 0.0f;
    dx[i] = factor * (gradient - mean_dy - (x[i] - center) * slope);
  }
}

}  // namespace

#define SIMAQAT_LINE_GRADIENT(target)                                                              \
  target void lineGradient(const float* dy, const float* x, int64_t n, const PassedValues& passed, \
                           const GradientLine& line, float* dx) {                                  \
    if (passed.all) {                                                                              \
      lineGradientLoop<true>(dy, x, n, 0, 0, line, dx);                                            \
    } else {                                                                                       \
      lineGradientLoop<false>(dy, x, n, passed.lo, passed.hi, line, dx);                           \
    }                                                                                              \
  }

namespace baseline {

void addMoments(const float* values, int64_t n, PartialMoments& moments) {
  WideSum first, second;
  Float4 least_low, greatest_low;
  for (int k = 0; k < 4; ++k) least_low[k] = moments.lo, greatest_low[k] = moments.hi;
  Float4 least_high = least_low, greatest_high = greatest_low;
  int64_t i = 0;
  for (; i + kAtOnce <= n; i += kAtOnce) {
    const Float4 v_low = loadFloat4(values + i), v_high = loadFloat4(values + i + 4);
    const Double4 low = toDouble4(v_low), high = toDouble4(v_high);
    first.add(low, high);
    second.add(low * low, high * high);
    least_low = v_low < least_low ? v_low : least_low;
    least_high = v_high < least_high ? v_high : least_high;
    greatest_low = v_low > greatest_low ? v_low : greatest_low;
    greatest_high = v_high > greatest_high ? v_high : greatest_high;
  }
  float least[kAtOnce], greatest[kAtOnce];
  for (int k = 0; k < 4; ++k) {
    least[k] = least_low[k], least[k + 4] = least_high[k];
    greatest[k] = greatest_low[k], greatest[k + 4] = greatest_high[k];
  }
  finishMoments(least, greatest, first, second, values + i, n - i, moments);
}

namespace {

template <bool kAll>
void addVectors(const float* dy, const float* x, int64_t n, const PassedValues& passed, double mean,
                WideSum& first, WideSum& second) {
  const float lo = passed.lo, hi = passed.hi;
  const auto pass = [=](Float4 dy, Float4 x) {
    return kAll ? dy : (x >= lo) & (x <= hi) ? dy : Float4{};
  };
  for (int64_t i = 0; i < n; i += kAtOnce) {
    const Float4 x_low = loadFloat4(x + i), x_high = loadFloat4(x + i + 4);
    const Double4 low = toDouble4(pass(loadFloat4(dy + i), x_low));
    const Double4 high = toDouble4(pass(loadFloat4(dy + i + 4), x_high));
    first.add(low, high);
    second.add(low * (toDouble4(x_low) - mean), high * (toDouble4(x_high) - mean));
  }
}

}  // namespace

void addGradients(const float* dy, const float* x, int64_t n, const PassedValues& passed,
                  double mean, WideSum& first, WideSum& second) {
  const int64_t whole = n / kAtOnce * kAtOnce;
  const auto add = passed.all ? addVectors<true> : addVectors<false>;
  add(dy, x, whole, passed, mean, first, second);
  finishGradients(dy + whole, x + whole, n - whole, passed, mean, first, second);
}

SIMAQAT_LINE_GRADIENT()

}  // namespace baseline

#if defined(__x86_64__)
namespace avx512 {

#define SIMAQAT_AVX512 \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")))

// By halves, not by way of memory, in which the compiler would keep the sums throughout the loop.
SIMAQAT_AVX512 inline __m512d lanesOf(const WideSum& sum) {
  const __m512d low = _mm512_castpd256_pd512(sum.low());
  return _mm512_maskz_insertf64x4(0xff, low, sum.high(), 1);
}
SIMAQAT_AVX512 inline void setLanes(__m512d lanes, WideSum& sum) {
  sum.set(_mm512_maskz_extractf64x4_pd(0xf, lanes, 0), _mm512_maskz_extractf64x4_pd(0xf, lanes, 1));
}

SIMAQAT_AVX512 void addMoments(const float* values, int64_t n, PartialMoments& moments) {
  __m512d first = _mm512_setzero_pd(), second = first;
  __m256 least = _mm256_set1_ps(moments.lo), greatest = _mm256_set1_ps(moments.hi);
  int64_t i = 0;
  for (; i + kAtOnce <= n; i += kAtOnce) {
    const __m256 v = _mm256_loadu_ps(values + i);
    const __m512d wide = _mm512_maskz_cvtps_pd(0xff, v);
    first = _mm512_add_pd(first, wide);
    second = _mm512_add_pd(second, _mm512_mul_pd(wide, wide));
    // Of an unordered pair the second one is the result.
    least = _mm256_min_ps(v, least);
    greatest = _mm256_max_ps(v, greatest);
  }
  float low[kAtOnce], high[kAtOnce];
  _mm256_storeu_ps(low, least);
  _mm256_storeu_ps(high, greatest);
  WideSum sum, squares;
  setLanes(first, sum);
  setLanes(second, squares);
  finishMoments(low, high, sum, squares, values + i, n - i, moments);
}

SIMAQAT_AVX512 void addGradients(const float* dy, const float* x, int64_t n,
                                 const PassedValues& passed, double mean, WideSum& first,
                                 WideSum& second) {
  __m512d sum = lanesOf(first), product = lanesOf(second);
  const __m512d center = _mm512_set1_pd(mean);
  const __m256 lo = _mm256_set1_ps(passed.lo), hi = _mm256_set1_ps(passed.hi);
  const __mmask8 all = passed.all ? 0xff : 0;
  int64_t i = 0;
  for (; i + kAtOnce <= n; i += kAtOnce) {
    const __m256 value = _mm256_loadu_ps(x + i);
    const __mmask8 inside = _mm256_mask_cmp_ps_mask(_mm256_cmp_ps_mask(value, lo, _CMP_GE_OQ),
                                                    value, hi, _CMP_LE_OQ);
    const __mmask8 counts = static_cast<__mmask8>(all | inside);
    const __m512d wide = _mm512_maskz_cvtps_pd(0xff, _mm256_maskz_loadu_ps(counts, dy + i));
    sum = _mm512_add_pd(sum, wide);
    product = _mm512_add_pd(
        product, _mm512_mul_pd(wide, _mm512_sub_pd(_mm512_maskz_cvtps_pd(0xff, value), center)));
  }
  setLanes(sum, first);
  setLanes(product, second);
  finishGradients(dy + i, x + i, n - i, passed, mean, first, second);
}

SIMAQAT_LINE_GRADIENT(SIMAQAT_AVX512)

#undef SIMAQAT_AVX512
}  // namespace avx512
#endif

}  // namespace simaqat::kernels
