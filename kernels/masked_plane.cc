#include "kernels/masked_plane.h"

#include <algorithm>
#include <type_traits>

#include "kernels/isa.h"
#include "qat/base/error.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace simaqat::kernels {
namespace {

// The numbers of taps along both axes that there are kernels for: calls function with them as
// constants.
template <class Function>
bool withTaps(int64_t rows, int64_t columns, const Function& function) {
  const auto is = [&](auto row_taps, auto column_taps) {
    if (rows != row_taps || columns != column_taps) return false;
    function(row_taps, column_taps);
    return true;
  };
  constexpr std::integral_constant<int, 1> kOne;
  constexpr std::integral_constant<int, 2> kTwo;
  constexpr std::integral_constant<int, 3> kThree;
  constexpr std::integral_constant<int, 5> kFive;
  return is(kThree, kThree) || is(kFive, kFive) ||
         // What an input gradient has of these with stride 2.
         is(kOne, kOne) || is(kOne, kTwo) || is(kTwo, kOne) || is(kTwo, kTwo) || is(kTwo, kThree) ||
         is(kThree, kTwo);
}

// Whether each of a residue's elements is as far on as a result.
bool fitsAxis(const Axis& axis) { return axis.count == ceilDiv(axis.size, axis.step); }

}  // namespace

bool MaskedPlane::fits(const WindowSum& sum) {
  constexpr int64_t kMostElements = 1 << 16;
  const auto& [a0, a1, a2] = sum.axis;
  const bool has_two_axes =
      a0.count == 1 && a0.size == 1 && a0.out_size == 1 && a0.taps == 1 && a0.tap_begin == 0;
  return kernels().isa >= Isa::kAvx512 && has_two_axes && fitsAxis(a1) && fitsAxis(a2) &&
         a1.size * a2.size <= kMostElements && withTaps(a1.taps, a2.taps, [](auto, auto) {});
}

MaskedPlane::MaskedPlane(const WindowSum& sum) : rows_(sum.axis[1]), columns_(sum.axis[2]) {
  Range inner{0, rows_.count};
  for (int64_t h = 0; h < rows_.taps; ++h) {
    const Range rows = existing(rows_, h);
    inner = {std::max(inner.begin, rows.begin), std::min(inner.end, rows.end)};
  }
  inner_begin_ = inner.begin * columns_.count;
  inner_end_ = std::max(inner.begin, inner.end) * columns_.count;
}

void MaskedPlane::fillTables(int64_t* shift, uint16_t* masks) const {
  std::fill_n(masks, masksSize(), uint16_t{0});
  for (int64_t h = 0; h < rows_.taps; ++h) {
    for (int64_t w = 0; w < columns_.taps; ++w) {
      const int64_t tap = h * columns_.taps + w;
      shift[tap] = planeOf(residue(rows_, h), residue(columns_, w)) +
                   floorDiv(offset(rows_, h), rows_.step) * columns_.count +
                   floorDiv(offset(columns_, w), columns_.step);
      const Range columns = existing(columns_, w), rows = existing(rows_, h);
      for (int64_t r = rows.begin; r < rows.end; ++r) {
        const int64_t first = r * columns_.count;
        setBits({first + columns.begin, first + columns.end}, tap, masks);
      }
    }
  }
}

// The elements of an axis for which a tap reads something.
MaskedPlane::Range MaskedPlane::existing(const Axis& axis, int64_t tap) {
  const int64_t first = offset(axis, tap);
  const int64_t begin = std::clamp<int64_t>(ceilDiv(-first, axis.step), 0, axis.count);
  return {begin, std::clamp<int64_t>(ceilDiv(axis.size - first, axis.step), begin, axis.count)};
}

void MaskedPlane::setBits(const Range& range, int64_t tap, uint16_t* masks) const {
  for (int64_t v = range.begin / kVector; v * kVector < range.end; ++v) {
    const int64_t begin = std::max<int64_t>(range.begin - v * kVector, 0);
    const int64_t end = std::min(range.end - v * kVector, kVector);
    masks[v * taps() + tap] |= static_cast<uint16_t>((1 << end) - (1 << begin));
  }
}

bool MaskedPlane::hasResidue(const Axis& axis, int64_t residue_of_stride) {
  for (int64_t tap = 0; tap < axis.taps; ++tap) {
    if (residue(axis, tap) == residue_of_stride) return true;
  }
  return false;
}

MaskedSource MaskedPlane::source(const int64_t* shift, const uint16_t* masks,
                                 const float* elements) const {
  return {shift,        masks,      rows_.taps, columns_.taps, this->elements(),
          inner_begin_, inner_end_, elements};
}

#if defined(__x86_64__)
#define SIMAQAT_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
namespace {

constexpr int64_t kVector = MaskedPlane::kVector;

// The masks of a vector for all taps. Where all rows exist, those of the first row of taps are
// those of every row.
template <int kRows, int kColumns, bool kInner>
struct Masks {
  static constexpr int kCount = kInner ? kColumns : kRows * kColumns;
  explicit Masks(const uint16_t* masks) {
#pragma GCC unroll 25
    for (int k = 0; k < kCount; ++k) mask[k] = masks[k];
  }
  __mmask16 of(int tap) const { return mask[kInner ? tap % kColumns : tap]; }
  __mmask16 mask[kCount];
};

// Calls function(vector, masks) for all vectors.
template <int kRows, int kColumns, class Function>
SIMAQAT_AVX512 inline void forVectors(const MaskedSource& plane, const Function& function) {
  constexpr int kTaps = kRows * kColumns;
  const int64_t vectors = ceilDiv(plane.elements, kVector);
  const int64_t inner = std::min(ceilDiv(plane.inner_begin, kVector), vectors);
  const int64_t inner_end = std::max(inner, plane.inner_end / kVector);
  const uint16_t* masks = plane.masks;
  int64_t v = 0;
  for (; v < inner; ++v, masks += kTaps) function(v, Masks<kRows, kColumns, false>(masks));
  for (; v < inner_end; ++v, masks += kTaps) function(v, Masks<kRows, kColumns, true>(masks));
  for (; v < vectors; ++v, masks += kTaps) function(v, Masks<kRows, kColumns, false>(masks));
}

// Of a vector, the lanes of elements that exist.
inline __mmask16 existing(int64_t elements, int64_t vector) {
  const int64_t left = elements - vector * kVector;
  return static_cast<__mmask16>(left >= kVector ? 0xffff : (1 << left) - 1);
}

template <int kRows, int kColumns>
SIMAQAT_AVX512 void sumMaskedBy(const MaskedSource& plane, const MaskedSum& sum) {
  constexpr int kTaps = kRows * kColumns;
  __m512 weight[kTaps];
  const float* source[kTaps];
#pragma GCC unroll 25
  for (int k = 0; k < kTaps; ++k) {
    weight[k] = _mm512_set1_ps(sum.weights[k]);
    source[k] = plane.source + plane.shift[k];
  }
  const __m512 start = _mm512_set1_ps(sum.start);
  const __m512 factor = _mm512_set1_ps(sum.factor), offset = _mm512_set1_ps(sum.offset);
  forVectors<kRows, kColumns>(plane, [&](int64_t v, const auto& masks) SIMAQAT_AVX512 {
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

template <int kRows, int kColumns>
SIMAQAT_AVX512 void correlateMaskedBy(const MaskedSource& plane, const float* dy, float* sums) {
  constexpr int kTaps = kRows * kColumns;
  __m512 total[kTaps];
  const float* source[kTaps];
#pragma GCC unroll 25
  for (int k = 0; k < kTaps; ++k) {
    total[k] = _mm512_loadu_ps(sums + k * kVector);
    source[k] = plane.source + plane.shift[k];
  }
  forVectors<kRows, kColumns>(plane, [&](int64_t v, const auto& masks) SIMAQAT_AVX512 {
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
  withTaps(plane.row_taps, plane.column_taps,
           [&](auto rows, auto columns) { sumMaskedBy<rows, columns>(plane, sum); });
}

void correlateMasked(const MaskedSource& plane, const float* dy, float* sums) {
  withTaps(plane.row_taps, plane.column_taps,
           [&](auto rows, auto columns) { correlateMaskedBy<rows, columns>(plane, dy, sums); });
}

#else

void sumMasked(const MaskedSource&, const MaskedSum&) { SIMAQAT_CHECK(false); }
void correlateMasked(const MaskedSource&, const float*, float*) { SIMAQAT_CHECK(false); }

#endif

}  // namespace simaqat::kernels
