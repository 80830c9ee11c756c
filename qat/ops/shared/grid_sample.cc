#include "qat/ops/shared/grid_sample.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace simaqat::ops {
namespace {

// Cubic convolution (Keys 1981) as PyTorch has it, and its derivative by the distance.
constexpr double kCubicA = -0.75;

double cubic(double distance) {
  const double d = std::fabs(distance);
  if (d <= 1) return ((kCubicA + 2) * d - (kCubicA + 3)) * d * d + 1;
  return d < 2 ? ((kCubicA * d - 5 * kCubicA) * d + 8 * kCubicA) * d - 4 * kCubicA : 0;
}

double cubicSlope(double distance) {
  const double d = std::fabs(distance);
  double slope = 0;
  if (d <= 1) {
    slope = (3 * (kCubicA + 2) * d - 2 * (kCubicA + 3)) * d;
  } else if (d < 2) {
    slope = (3 * kCubicA * d - 10 * kCubicA) * d + 8 * kCubicA;
  }
  return std::copysign(1.0, distance) * slope;
}

// Reflected at lo and hi until it lies between; and +1 or -1 for the direction it then moves in.
std::pair<double, double> reflected(double at, double lo, double hi) {
  if (hi <= lo) return {lo, 0};
  const double distance = std::fabs(at - lo);
  const double flips = std::floor(distance / (hi - lo));
  const double rest = distance - flips * (hi - lo);
  const bool forward = std::fmod(flips, 2) == 0;
  return {forward ? lo + rest : hi - rest, (at < lo) == forward ? -1 : 1};
}

// No index overflows, and a NaN is somewhere outside.
double bounded(double at) {
  constexpr double kFar = 1e9;
  return at == at ? std::clamp(at, -kFar, kFar) : -kFar;
}

}  // namespace

GridSampler::GridSampler(const GridSampleAttributes& attributes, Span<const int64_t> x)
    : mode_(attributes.mode == "nearest"  ? Mode::kNearest
            : attributes.mode == "linear" ? Mode::kLinear
                                          : Mode::kCubic),
      padding_(attributes.padding_mode == "zeros"    ? Padding::kZeros
               : attributes.padding_mode == "border" ? Padding::kBorder
                                                     : Padding::kReflection),
      align_corners_(attributes.align_corners),
      rank_(x.size() - 2) {
  for (size_t axis = 0; axis < rank_; ++axis) sizes_[axis + 3 - rank_] = x[axis + 2];
}

std::pair<double, double> GridSampler::padded(double at, int64_t size) const {
  const auto last = static_cast<double>(size - 1);
  double slope = 1;
  if (padding_ == Padding::kZeros) return {at, slope};
  if (padding_ == Padding::kReflection) {
    const double margin = align_corners_ ? 0 : 0.5;
    std::tie(at, slope) = reflected(at, -margin, last + margin);
  }
  if (at <= 0 || at >= last) slope = 0;
  return {std::clamp(at, 0.0, last), slope};
}

int64_t GridSampler::paddedIndex(int64_t index, int64_t size) const {
  if (padding_ == Padding::kZeros) return index < 0 || index >= size ? -1 : index;
  return static_cast<int64_t>(padded(static_cast<double>(index), size).first);
}

SampleAxis GridSampler::sample(double coordinate, int64_t size) const {
  const auto length = static_cast<double>(size);
  const double scale = (align_corners_ ? length - 1 : length) / 2;
  const double at = bounded((coordinate + 1) * scale - (align_corners_ ? 0 : 0.5));
  SampleAxis axis;
  if (mode_ == Mode::kCubic) {
    const double base = std::floor(at);
    axis.count = 4;
    for (size_t tap = 0; tap < 4; ++tap) {
      const double place = base - 1 + static_cast<double>(tap);
      axis.index[tap] = paddedIndex(static_cast<int64_t>(place), size);
      axis.weight[tap] = cubic(at - place);
      axis.slope[tap] = cubicSlope(at - place) * scale;
    }
    return axis;
  }
  const auto [inside, slope] = padded(at, size);
  if (mode_ == Mode::kNearest) {
    axis.count = 1;
    axis.index[0] = paddedIndex(static_cast<int64_t>(std::nearbyint(inside)), size);
    axis.weight[0] = 1;
    return axis;
  }
  const double base = std::floor(inside);
  axis.count = 2;
  for (size_t tap = 0; tap < 2; ++tap) {
    const int64_t place = static_cast<int64_t>(base) + static_cast<int64_t>(tap);
    axis.index[tap] = place < 0 || place >= size ? -1 : place;
  }
  axis.weight = {1 - (inside - base), inside - base};
  axis.slope = {-slope * scale, slope * scale};
  return axis;
}

}  // namespace simaqat::ops
