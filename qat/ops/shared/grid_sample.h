// What GridSample and its gradient share: a place of the grid is a few elements along each axis.
#pragma once

#include <array>

#include "qat/ops/shared/broadcast.h"

namespace simaqat::ops {

struct GridSampleAttributes {
  bool align_corners = false;
  std::string mode = "linear";
  std::string padding_mode = "zeros";

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("align_corners", self.align_corners);
    visit("mode", self.mode);
    visit("padding_mode", self.padding_mode);
  }
};

// The elements of one axis that make a sample. An index of -1 is padding, of value zero.
struct SampleAxis {
  size_t count = 0;
  std::array<int64_t, 4> index{};
  std::array<double, 4> weight{};
  // The weight's derivative by the grid's coordinate.
  std::array<double, 4> slope{};
};

// Spatial axes are the last ones of three; of those in front there is one element.
using SampleAxes = std::array<SampleAxis, 3>;
using SampleTaps = std::array<size_t, 3>;

class GridSampler {
 public:
  // `x` are the dimensions of the data, [N, C, spatial axes...].
  GridSampler(const GridSampleAttributes& attributes, Span<const int64_t> x);

  // For a place of the grid: its coordinates are in [-1, 1], that of the last axis first.
  template <class T>
  void place(const T* coordinates, SampleAxes& axes) const {
    for (size_t axis = 0; axis < 3; ++axis) {
      axes[axis] = axis < 3 - rank_
                       ? kOneElement
                       : sample(static_cast<double>(coordinates[2 - axis]), sizes_[axis]);
    }
  }

  // Calls f(offset in the plane, the taps' numbers by axis) for each element but padding.
  template <class F>
  void forEachElement(const SampleAxes& axes, F f) const {
    SampleTaps tap{};
    for (tap[0] = 0; tap[0] < axes[0].count; ++tap[0]) {
      for (tap[1] = 0; tap[1] < axes[1].count; ++tap[1]) {
        for (tap[2] = 0; tap[2] < axes[2].count; ++tap[2]) {
          int64_t offset = 0;
          bool exists = true;
          for (size_t axis = 0; axis < 3; ++axis) {
            const int64_t index = axes[axis].index[tap[axis]];
            exists = exists && index >= 0;
            offset = offset * sizes_[axis] + index;
          }
          if (exists) f(offset, tap);
        }
      }
    }
  }

  // How many spatial axes there are.
  size_t rank() const { return rank_; }
  int64_t planeSize() const { return sizes_[0] * sizes_[1] * sizes_[2]; }

 private:
  static constexpr SampleAxis kOneElement = {1, {0}, {1}, {0}};

  SampleAxis sample(double coordinate, int64_t size) const;
  // The coordinate in the data after padding, and how it changes with the one before.
  std::pair<double, double> padded(double at, int64_t size) const;
  int64_t paddedIndex(int64_t index, int64_t size) const;

  enum class Mode { kNearest, kLinear, kCubic } mode_;
  enum class Padding { kZeros, kBorder, kReflection } padding_;
  bool align_corners_;
  size_t rank_;
  std::array<int64_t, 3> sizes_{1, 1, 1};
};

// The product of the taps' weights, that of axis `except` left out.
inline double sampleWeight(const SampleAxes& axes, const SampleTaps& taps, size_t except = 3) {
  double weight = 1;
  for (size_t axis = 0; axis < 3; ++axis) {
    if (axis != except) weight *= axes[axis].weight[taps[axis]];
  }
  return weight;
}

}  // namespace simaqat::ops
