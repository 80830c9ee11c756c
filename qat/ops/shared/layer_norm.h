// What LayerNormalization and its gradient share.
#pragma once

#include <cmath>

#include "qat/ops/shared/strided_copy.h"

namespace simaqat::ops {

struct LayerNormAttributes {
  int64_t axis = -1;
  float epsilon = 1e-5f;
  int64_t stash_type = 1;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("axis", self.axis);
    visit("epsilon", self.epsilon);
    visit("stash_type", self.stash_type);
  }
};

// Data seen as rows, each of which is normalised.
struct LayerNormRows {
  LayerNormRows(const EvalContext& c, Span<const int64_t> dims) {
    const int64_t at = normalizeAxis(c.node, c.node.attributes<LayerNormAttributes>().axis,
                                     static_cast<int64_t>(dims.size()));
    rows = product(dims, 0, static_cast<size_t>(at));
    size = product(dims, static_cast<size_t>(at), dims.size());
  }
  int64_t rows, size;
};

// A scale or bias, as long as a row or repeated along it.
template <class T>
struct RowParameter {
  RowParameter(const TensorView& view, int64_t row)
      : data(view.data<T>()), size(view.size), whole(size == row) {}
  T operator[](int64_t i) const { return data[whole ? i : i % size]; }
  const T* data;
  int64_t size;
  bool whole;
};

struct RowStatistics {
  double mean;
  double inverse_deviation;
};

// In two passes, so that a large mean does not swallow the variance.
template <class T>
RowStatistics rowStatistics(const T* x, int64_t size, double epsilon) {
  double sum = 0;
  for (int64_t i = 0; i < size; ++i) sum += static_cast<double>(x[i]);
  const double mean = sum / static_cast<double>(size);
  double squares = 0;
  for (int64_t i = 0; i < size; ++i) {
    const double d = static_cast<double>(x[i]) - mean;
    squares += d * d;
  }
  return {mean, 1 / std::sqrt(squares / static_cast<double>(size) + epsilon)};
}

}  // namespace simaqat::ops
