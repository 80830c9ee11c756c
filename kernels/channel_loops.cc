// The versions have the same eight running sums and extremes: two vectors of the baseline each, or one
// of AVX-512.
#include "kernels/channel_loops.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "kernels/expect.h"
#include "kernels/quantizer_formula.h"

namespace simaqat::kernels {
namespace {

constexpr int64_t kAtOnce = 8;

// What the vectors have seen. Aligned as the largest of them: without that, code that GCC 12
// instruments for AddressSanitizer addresses the stack by a register that it no longer has.
struct SeenMoments {
  alignas(64) double sums[kAtOnce];
  alignas(64) double squares[kAtOnce];
  float least[kAtOnce], greatest[kAtOnce];
};

// That, and the elements behind the last vector. Not inline, so that the vectors stay registers
// until they have seen all.
[[gnu::noinline]] void finishMoments(const SeenMoments& seen, const float* rest, int64_t n,
                                     PartialMoments& moments) {
  WideSum sum, squares;
  sum.set(seen.sums);
  squares.set(seen.squares);
  const auto see = [&](float lo, float hi) {
    moments.lo = lo < moments.lo ? lo : moments.lo;
    moments.hi = hi > moments.hi ? hi : moments.hi;
  };
  for (int64_t k = 0; k < kAtOnce; ++k) see(seen.least[k], seen.greatest[k]);
  for (int64_t i = 0; i < n; ++i) {
    const double v = rest[i];
    sum.add(v);
    squares.add(v * v);
    see(rest[i], rest[i]);
  }
  moments.sum += sum.total();
  moments.squares += squares.total();
}

#if defined(__x86_64__)
[[gnu::noinline]] void setSums(const double (&sums)[kAtOnce], const double (&products)[kAtOnce],
                               WideSum& first, WideSum& second) {
  first.set(sums);
  second.set(products);
}
#endif

void finishGradients(const float* dy, const float* x, int64_t n, const PassedValues& passed,
                     double mean, WideSum& first, WideSum& second) {
  for (int64_t i = 0; i < n; ++i) {
    const double gradient = passedValue(dy[i], x[i], passed);
    first.add(gradient);
    second.add(gradient * (x[i] - mean));
  }
}

// Whether all passes is known when it is compiled, or the loop would have no vectors.
template <bool kAll>
SIMAQAT_INLINE void lineGradientLoop(const float* dy, const float* x, int64_t n, float lo, float hi,
                                     const GradientLine& line, float* dx) {
  const PassedValues passed{kAll, lo, hi};
  const float center = line.center, factor = line.factor;
  const float mean_dy = line.mean_dy, slope = line.slope;
  for (int64_t i = 0; i < n; ++i) {
    dx[i] = factor * (passedValue(dy[i], x[i], passed) - mean_dy - (x[i] - center) * slope);
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
  SeenMoments seen;
  first.get(seen.sums);
  second.get(seen.squares);
  for (int k = 0; k < 4; ++k) {
    seen.least[k] = least_low[k], seen.least[k + 4] = least_high[k];
    seen.greatest[k] = greatest_low[k], seen.greatest[k + 4] = greatest_high[k];
  }
  finishMoments(seen, values + i, n - i, moments);
}

namespace {

template <bool kAll>
void addVectors(const float* dy, const float* x, int64_t n, int64_t ahead,
                const PassedValues& passed, double mean, WideSum& first, WideSum& second) {
  const float lo = passed.lo, hi = passed.hi;
  const auto pass = [=](Float4 dy, Float4 x) {
    return kAll ? dy : (x >= lo) & (x <= hi) ? dy : Float4{};
  };
  for (int64_t i = 0; i < n; i += kAtOnce) {
    expectToRead(x + i, ahead);
    expectToRead(dy + i, ahead);
    const Float4 x_low = loadFloat4(x + i), x_high = loadFloat4(x + i + 4);
    const Double4 low = toDouble4(pass(loadFloat4(dy + i), x_low));
    const Double4 high = toDouble4(pass(loadFloat4(dy + i + 4), x_high));
    first.add(low, high);
    second.add(low * (toDouble4(x_low) - mean), high * (toDouble4(x_high) - mean));
  }
}

}  // namespace

void addGradients(const float* dy, const float* x, int64_t n, int64_t ahead,
                  const PassedValues& passed, double mean, WideSum& first, WideSum& second) {
  const int64_t whole = n / kAtOnce * kAtOnce;
  const auto add = passed.all ? addVectors<true> : addVectors<false>;
  add(dy, x, whole, ahead, passed, mean, first, second);
  finishGradients(dy + whole, x + whole, n - whole, passed, mean, first, second);
}

SIMAQAT_LINE_GRADIENT()

}  // namespace baseline

#if defined(__x86_64__)
namespace avx512 {

#define SIMAQAT_AVX512 \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")))

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
  SeenMoments seen;
  _mm512_storeu_pd(seen.sums, first);
  _mm512_storeu_pd(seen.squares, second);
  _mm256_storeu_ps(seen.least, least);
  _mm256_storeu_ps(seen.greatest, greatest);
  finishMoments(seen, values + i, n - i, moments);
}

SIMAQAT_AVX512 void addGradients(const float* dy, const float* x, int64_t n, int64_t ahead,
                                 const PassedValues& passed, double mean, WideSum& first,
                                 WideSum& second) {
  alignas(64) double sums[kAtOnce];
  alignas(64) double products[kAtOnce];
  first.get(sums);
  second.get(products);
  __m512d sum = _mm512_loadu_pd(sums), product = _mm512_loadu_pd(products);
  const __m512d center = _mm512_set1_pd(mean);
  const __m256 lo = _mm256_set1_ps(passed.lo), hi = _mm256_set1_ps(passed.hi);
  const __mmask8 all = passed.all ? 0xff : 0;
  int64_t i = 0;
  for (; i + kAtOnce <= n; i += kAtOnce) {
    expectToRead(x + i, ahead);
    expectToRead(dy + i, ahead);
    const __m256 value = _mm256_loadu_ps(x + i);
    const __mmask8 inside = _mm256_mask_cmp_ps_mask(_mm256_cmp_ps_mask(value, lo, _CMP_GE_OQ),
                                                    value, hi, _CMP_LE_OQ);
    const __mmask8 counts = static_cast<__mmask8>(all | inside);
    const __m512d wide = _mm512_maskz_cvtps_pd(0xff, _mm256_maskz_loadu_ps(counts, dy + i));
    sum = _mm512_add_pd(sum, wide);
    product = _mm512_add_pd(
        product, _mm512_mul_pd(wide, _mm512_sub_pd(_mm512_maskz_cvtps_pd(0xff, value), center)));
  }
  _mm512_storeu_pd(sums, sum);
  _mm512_storeu_pd(products, product);
  setSums(sums, products, first, second);
  finishGradients(dy + i, x + i, n - i, passed, mean, first, second);
}

SIMAQAT_LINE_GRADIENT(SIMAQAT_AVX512)

#undef SIMAQAT_AVX512
}  // namespace avx512
#endif

}  // namespace simaqat::kernels
