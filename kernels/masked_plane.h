// Planes whose convolution by 3x3 or 5x5 taps keeps their size, in AVX-512: rows are summed as one
// long row, in vectors that do not end where a row does. What a tap would read outside the plane,
// or in a neighbouring row, is left out by a mask, so that there is neither padding nor a copy.
#pragma once

#include <cstdint>

#include "kernels/window_sum.h"

namespace simaqat::kernels {

// A plane's elements, and the tables of MaskedPlane. Elements before inner_begin and from inner_end
// on have a tap in a row that does not exist.
struct MaskedSource {
  const int64_t* shift;
  const uint16_t* masks;
  int64_t taps, elements;
  int64_t inner_begin, inner_end;
  const float* source;
};

class MaskedPlane {
 public:
  static constexpr int64_t kVector = 16;

  // False without AVX-512.
  static bool fits(const WindowSum& sum);

  explicit MaskedPlane(const WindowSum& sum) : rows_(sum.axis[1]), columns_(sum.axis[2]) {}

  int64_t elements() const { return rows_.size * columns_.size; }
  int64_t taps() const { return rows_.taps * columns_.taps; }
  int64_t vectors() const { return ceilDiv(elements(), kVector); }
  int64_t masksSize() const { return vectors() * taps(); }

  // In the order of WindowSum's taps: shift[tap] is from an element to what the tap reads for it,
  // and masks[vector][tap] has the lanes for which it exists.
  void fillTables(int64_t* shift, uint16_t* masks) const;

  // Room for the elements where they do not lie side by side, as floats.
  int64_t bufferSize() const { return roundUpToLanes(elements()); }
  MaskedSource source(const int64_t* shift, const uint16_t* masks, const float* elements) const;

 private:
  const Axis rows_, columns_;
};

// target[i] = start + sum over taps of weight * source[i + shift], in the order of the taps. Where
// `scales`, times factor, plus offset.
struct MaskedSum {
  const float* weights;
  float start;
  bool scales;
  float factor, offset;
  float* target;
};

// Of an AVX-512 machine.
void sumMasked(const MaskedSource& plane, const MaskedSum& sum);
// sums[tap][kVector] += dy[i] * source[i + shift], element i in lane i modulo kVector.
void correlateMasked(const MaskedSource& plane, const float* dy, float* sums);

}  // namespace simaqat::kernels
