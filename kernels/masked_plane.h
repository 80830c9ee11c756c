// Planes whose convolution keeps their size, or divides it by the stride, in AVX-512: rows are
// summed as one long row, in vectors that do not end where a row does. What a tap would read
// outside the plane, or in a neighbouring row, is left out by a mask, so that there is no padding.
// Where windows move by a stride, each residue of the stride has a plane of its own, of every
// so-many-th row and column, as large as the result: then every tap is a shift again.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/window_sum.h"

namespace simaqat::kernels {

// A plane's elements, and the tables of MaskedPlane. Results before inner_begin and from inner_end
// on have a tap in a row that does not exist.
struct MaskedSource {
  const int64_t* shift;
  const uint16_t* masks;
  int64_t row_taps, column_taps, elements;
  int64_t inner_begin, inner_end;
  const float* source;
};

class MaskedPlane {
 public:
  static constexpr int64_t kVector = 16;

  // Whether there is AVX-512, and a kernel for these taps.
  static bool fits(const WindowSum& sum);

  explicit MaskedPlane(const WindowSum& sum);

  int64_t elements() const { return rows_.count * columns_.count; }  // of the result
  int64_t taps() const { return rows_.taps * columns_.taps; }
  int64_t vectors() const { return ceilDiv(elements(), kVector); }
  int64_t masksSize() const { return vectors() * taps(); }

  // In the order of WindowSum's taps: shift[tap] is from an element to what the tap reads for it,
  // and masks[vector][tap] has the lanes for which it exists.
  void fillTables(int64_t* shift, uint16_t* masks) const;

  // Whether the source's elements are read side by side, as they lie.
  bool readsInPlace() const { return rows_.step == 1 && columns_.step == 1; }
  // Of a buffer that has them otherwise, or as floats.
  int64_t bufferSize() const { return rows_.step * columns_.step * planeSize(); }
  // What it has otherwise. rows as in fillBuffer.
  template <class Rows>
  void fill(const Rows& rows, int64_t image, int64_t channel, float* buffer) const {
    for (int64_t p = 0; p < rows_.step; ++p) {
      if (!hasResidue(rows_, p)) continue;
      for (int64_t q = 0; q < columns_.step; ++q) {
        if (!hasResidue(columns_, q)) continue;
        const RowCut cut(columns_.size, q, columns_.step, roundUpToLanes(columns_.count));
        // What a row has too much, the next one writes over.
        float* to = buffer + planeOf(p, q);
        for (int64_t h = p; h < rows_.size; h += rows_.step, to += columns_.count) {
          rows.copy(image, channel, h * columns_.size, cut, to);
        }
      }
    }
  }

  MaskedSource source(const int64_t* shift, const uint16_t* masks, const float* elements) const;

 private:
  // Where tap t lies from element 0, in the source.
  static int64_t offset(const Axis& axis, int64_t tap) {
    return axis.tap_begin + tap * axis.tap_step;
  }
  static int64_t residue(const Axis& axis, int64_t tap) {
    return offset(axis, tap) - floorDiv(offset(axis, tap), axis.step) * axis.step;
  }
  static bool hasResidue(const Axis& axis, int64_t residue_of_stride);
  struct Range {
    int64_t begin, end;
  };
  static Range existing(const Axis& axis, int64_t tap);
  void setBits(const Range& range, int64_t tap, uint16_t* masks) const;
  // Of a residue's elements, and the vector that the last row's may reach beyond them.
  int64_t planeSize() const { return roundUpToLanes(elements()) + kLanes; }
  int64_t planeOf(int64_t row_residue, int64_t column_residue) const {
    return (row_residue * columns_.step + column_residue) * planeSize();
  }

  Axis rows_, columns_;
  int64_t inner_begin_, inner_end_;
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
