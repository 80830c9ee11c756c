// A function known at points of equal distance: inputs (x, points, values).
#pragma once

#include <cmath>

#include "qat/ops/shared/broadcast.h"

namespace simaqat::ops {

enum SampledInput { kSampledX, kSampledPoints, kSampledValues };

template <class T>
class Samples {
 public:
  explicit Samples(const EvalContext& c)
      : points_(c.in(kSampledPoints).data<T>()),
        values_(c.in(kSampledValues).data<T>()),
        last_(c.in(kSampledPoints).size - 1),
        step_((points_[last_] - points_[0]) / static_cast<T>(last_)) {}

  T point(int64_t i) const { return points_[i]; }
  T value(int64_t i) const { return values_[i]; }
  int64_t last() const { return last_; }
  // Of the point that is next to x, of two the even one; the outermost one beyond them.
  int64_t nearest(T x) const { return clamped(std::nearbyint(position(x)), last_); }
  // Of the point below x; beyond the points the outermost segment goes on.
  int64_t segment(T x) const { return clamped(std::floor(position(x)), last_ - 1); }
  bool isWithin(T x) const { return x >= points_[0] - step_ / 2 && x <= points_[last_] + step_ / 2; }
  // Between two points.
  T slope(int64_t from, int64_t to) const {
    return (values_[to] - values_[from]) / (points_[to] - points_[from]);
  }

 private:
  T position(T x) const { return (x - points_[0]) / step_; }
  static int64_t clamped(T position, int64_t most) {
    if (!(position > T{0})) return 0;
    return position < static_cast<T>(most) ? static_cast<int64_t>(position) : most;
  }

  const T* points_;
  const T* values_;
  int64_t last_;
  T step_;
};

void inferSampled(InferContext& c);

// Samples are read without further checks.
void checkSamples(const EvalContext& c);

// out = f(samples, x); NaN stays NaN.
template <class F>
void evaluateSampled(const EvalContext& c, F f) {
  checkSamples(c);
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    mapUnary<T, T>(c, [samples = Samples<T>(c), f](T x) { return std::isnan(x) ? x : f(samples, x); });
  });
}

// dx = dy times the slope.
void sampledGradient(GradientContext& c, bool of_table);

}  // namespace simaqat::ops
