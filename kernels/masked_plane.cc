#include "kernels/masked_plane.h"

#include <algorithm>

#include "kernels/isa.h"
#include "qat/base/error.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace simaqat::kernels {
namespace {

bool keepsSize(const Axis& axis) {
  return axis.step == 1 && axis.count == axis.size && axis.out_size == axis.size &&
         axis.out_begin == 0 && axis.out_step == 1;
}

int64_t tapShift(const Axis& axis, int64_t tap) { return axis.tap_begin + tap * axis.tap_step; }

}  // namespace

bool MaskedPlane::fits(const WindowSum& sum) {
  constexpr int64_t kMostElements = 1 << 16;
  const auto& [a0, a1, a2] = sum.axis;
  const bool has_two_axes =
      a0.count == 1 && a0.size == 1 && a0.out_size == 1 && a0.taps == 1 && a0.tap_begin == 0;
  return kernels().isa >= Isa::kAvx512 && has_two_axes && keepsSize(a1) && keepsSize(a2) &&
         a1.taps == a2.taps && (a1.taps == 3 || a1.taps == 5) && a1.size * a2.size <= kMostElements;
}

void MaskedPlane::fillTables(int64_t* shift, uint16_t* masks) const {
  std::fill_n(masks, masksSize(), uint16_t{0});
  for (int64_t h = 0; h < rows_.taps; ++h) {
    for (int64_t w = 0; w < columns_.taps; ++w) {
      const int64_t tap = h * columns_.taps + w;
      shift[tap] = tapShift(rows_, h) * columns_.size + tapShift(columns_, w);
      for (int64_t i = 0; i < elements(); ++i) {
        const int64_t row = i / columns_.size + tapShift(rows_, h);
        const int64_t column = i % columns_.size + tapShift(columns_, w);
        const bool exists = row >= 0 && row < rows_.size && column >= 0 && column < columns_.size;
        if (exists) masks[i / kVector * taps() + tap] |= static_cast<uint16_t>(1 << i % kVector);
      }
    }
  }
}

MaskedSource MaskedPlane::source(const int64_t* shift, const uint16_t* masks,
                                 const float* elements) const {
  const int64_t first = std::max<int64_t>(0, -tapShift(rows_, 0));
  const int64_t last = rows_.size - std::max<int64_t>(0, tapShift(rows_, rows_.taps - 1));
  return {shift,
          masks,
          taps(),
          this->elements(),
          std::min(first, rows_.size) * columns_.size,
          std::max<int64_t>(last, 0) * columns_.size,
          elements};
}

#if defined(__x86_64__)
#define SIMAQAT_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
namespace {

constexpr int64_t kVector = MaskedPlane::kVector;

// The masks of a vector for all taps. Where all rows exist, those of the first row of taps are
// those of every row.
template <int kSide, bool kInner>
struct Masks {
  explicit Masks(const uint16_t* masks) {
#pragma GCC unroll 25
    for (int k = 0; k < (kInner ? kSide : kSide * kSide); ++k) mask[k] = masks[k];
  }
  __mmask16 of(int tap) const { return mask[kInner ? tap % kSide : tap]; }
  __mmask16 mask[kInner ? kSide : kSide * kSide];
};

// Calls function(vector, masks) for all vectors.
template <int kSide, class Function>
SIMAQAT_AVX512 inline void forVectors(const MaskedSource& plane, const Function& function) {
  const int64_t vectors = ceilDiv(plane.elements, kVector);
  const int64_t inner = std::min(ceilDiv(plane.inner_begin, kVector), vectors);
  const int64_t inner_end = std::max(inner, plane.inner_end / kVector);
  const uint16_t* masks = plane.masks;
  int64_t v = 0;
  for (; v < inner; ++v, masks += kSide * kSide) function(v, Masks<kSide, false>(masks));
  for (; v < inner_end; ++v, masks += kSide * kSide) function(v, Masks<kSide, true>(masks));
  for (; v < vectors; ++v, masks += kSide * kSide) function(v, Masks<kSide, false>(masks));
}

// Of a vector, the lanes of elements that exist.
inline __mmask16 existing(int64_t elements, int64_t vector) {
  const int64_t left = elements - vector * kVector;
  return static_cast<__mmask16>(left >= kVector ? 0xffff : (1 << left) - 1);
}

template <int kSide>
SIMAQAT_AVX512 void sumMaskedBy(const MaskedSource& plane, const MaskedSum& sum) {
  constexpr int kTaps = kSide * kSide;
  __m512 weight[kTaps];
  const float* source[kTaps];
#pragma GCC unroll 25
  for (int k = 0; k < kTaps; ++k) {
    weight[k] = _mm512_set1_ps(sum.weights[k]);
    source[k] = plane.source + plane.shift[k];
  }
  const __m512 start = _mm512_set1_ps(sum.start);
  const __m512 factor = _mm512_set1_ps(sum.factor), offset = _mm512_set1_ps(sum.offset);
  forVectors<kSide>(plane, [&](int64_t v, const auto& masks) SIMAQAT_AVX512 {
    __m512 total = start;
#pragma GCC unroll 25
    for (int k = 0; k < kTaps; ++k) {
      const __m512 x = _mm512_maskz_loadu_ps(masks.of(k), source[k] + v * kVector);
      total = _mm512_fmadd_ps(x, weight[k], total);
    }
    if (sum.scales) total = _mm512_add_ps(_mm512_mul_ps(total, factor), offset);
    _mm512_mask_storeu_ps(sum.target + v * kVector, existing(plane.elements, v), total);
  });
}

template <int kSide>
SIMAQAT_AVX512 void correlateMaskedBy(const MaskedSource& plane, const float* dy, float* sums) {
  constexpr int kTaps = kSide * kSide;
  __m512 total[kTaps];
  const float* source[kTaps];
#pragma GCC unroll 25
  for (int k = 0; k < kTaps; ++k) {
    total[k] = _mm512_loadu_ps(sums + k * kVector);
    source[k] = plane.source + plane.shift[k];
  }
  forVectors<kSide>(plane, [&](int64_t v, const auto& masks) SIMAQAT_AVX512 {
    const __m512 g = _mm512_maskz_loadu_ps(existing(plane.elements, v), dy + v * kVector);
#pragma GCC unroll 25
    for (int k = 0; k < kTaps; ++k) {
      const __m512 x = _mm512_maskz_loadu_ps(masks.of(k), source[k] + v * kVector);
      total[k] = _mm512_fmadd_ps(x, g, total[k]);
    }
  });
#pragma GCC unroll 25
  for (int k = 0; k < kTaps; ++k) _mm512_storeu_ps(sums + k * kVector, total[k]);
}

}  // namespace
#undef SIMAQAT_AVX512

void sumMasked(const MaskedSource& plane, const MaskedSum& sum) {
  plane.taps == 9 ? sumMaskedBy<3>(plane, sum) : sumMaskedBy<5>(plane, sum);
}

void correlateMasked(const MaskedSource& plane, const float* dy, float* sums) {
  plane.taps == 9 ? correlateMaskedBy<3>(plane, dy, sums) : correlateMaskedBy<5>(plane, dy, sums);
}

#else

void sumMasked(const MaskedSource&, const MaskedSum&) { SIMAQAT_CHECK(false); }
void correlateMasked(const MaskedSource&, const float*, float*) { SIMAQAT_CHECK(false); }

#endif

}  // namespace simaqat::kernels
