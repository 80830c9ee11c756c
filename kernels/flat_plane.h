// Small planes whose convolution keeps their size: rows are summed as one long row, in vectors that
// do not end where a row does. In place of padding there is a copy of the plane for each tap of the
// last axis, in which what this tap would read in a neighbouring row is zero.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "kernels/packet.h"
#include "kernels/window_sum.h"

namespace simaqat::kernels {

class FlatPlane {
 public:
  // Copies of floats should stay in half of the L1 cache.
  static constexpr int64_t kMostElements = 4096;

  static bool fits(const WindowSum& sum) {
    const Axis& a0 = sum.axis[0];
    const bool has_two_axes =
        a0.count == 1 && a0.size == 1 && a0.out_size == 1 && a0.taps == 1 && a0.tap_begin == 0;
    return has_two_axes && keepsSize(sum.axis[1]) && keepsSize(sum.axis[2]) &&
           FlatPlane(sum).bufferSize() <= kMostElements;
  }

  explicit FlatPlane(const WindowSum& sum)
      : rows_(sum.axis[1]),
        columns_(sum.axis[2]),
        margin_(roundUpToLanes(farthest(rows_) * columns_.size + farthest(columns_))) {}

  int64_t elements() const { return rows_.size * columns_.size; }
  // Of a copy, in whole vectors.
  int64_t size() const { return roundUpToLanes(elements()); }
  int64_t masksSize() const { return columns_.taps * size(); }
  int64_t bufferSize() const { return columns_.taps * stride(); }

  // In the order of WindowSum's taps: where one reads for the first element of the plane.
  void fillTapOffsets(int64_t* offset) const {
    for (int64_t h = 0; h < rows_.taps; ++h) {
      for (int64_t w = 0; w < columns_.taps; ++w) {
        *offset++ =
            w * stride() + margin_ + tapShift(rows_, h) * columns_.size + tapShift(columns_, w);
      }
    }
  }

  // [copy][size()]: all bits of the elements that the copy has, none of the others.
  template <class T>
  void fillMasks(T* masks) const {
    std::memset(static_cast<void*>(masks), 0, static_cast<size_t>(masksSize()) * sizeof(T));
    for (int64_t w = 0; w < columns_.taps; ++w) {
      for (int64_t i = 0; i < elements(); ++i) {
        const int64_t user = i % columns_.size - tapShift(columns_, w);
        if (user < 0 || user >= columns_.size) continue;
        std::memset(static_cast<void*>(masks + w * size() + i), 0xff, sizeof(T));
      }
    }
  }

  // What no fill() writes.
  template <class T>
  void clearMargins(T* buffer) const {
    std::fill_n(buffer, bufferSize(), T{0});
  }

  // rows as in fillBuffer.
  template <class Rows, class T>
  void fill(const Rows& rows, int64_t image, int64_t channel, const T* masks, T* buffer) const {
    T* plane = buffer + margin_;
    rows.copy(image, channel, 0, RowCut(elements(), 0, 1, size()), plane);
    for (int64_t i = 0; i < size(); i += kLanes) {
      const Lanes<T> values = Lanes<T>::load(plane + i);
      for (int64_t w = 0; w < columns_.taps; ++w) {
        values.masked(Lanes<T>::load(masks + w * size() + i)).store(plane + w * stride() + i);
      }
    }
  }

 private:
  static bool keepsSize(const Axis& axis) {
    return axis.step == 1 && axis.count == axis.size && axis.out_size == axis.size &&
           axis.out_begin == 0 && axis.out_step == 1 && axis.taps > 0;
  }
  static int64_t tapShift(const Axis& axis, int64_t tap) {
    return axis.tap_begin + tap * axis.tap_step;
  }
  static int64_t farthest(const Axis& axis) {
    return std::max(std::abs(tapShift(axis, 0)), std::abs(tapShift(axis, axis.taps - 1)));
  }
  int64_t stride() const { return size() + 2 * margin_; }

  const Axis rows_, columns_;
  int64_t margin_;
};

}  // namespace simaqat::kernels
