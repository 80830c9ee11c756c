// What LayerNormalization, RMSNormalization and their gradient share; the other normalizations'
// gradients are made of that one.
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

// Whether the mean is taken off first: LayerNormalization does, RMSNormalization does not.
enum class Centering { kMean, kNone };

struct LayerNormGradientAttributes : LayerNormAttributes {
  bool centered = true;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    LayerNormAttributes::fields(self, visit);
    visit("centered", self.centered);
  }
};

// The shape rule of output 0; a scale and a bias are one number, or have the dimensions of the last
// axes.
void inferLayerNorm(InferContext& c);

// The gradient rule.
void layerNormGradient(GradientContext& c, Centering centering);

// Data seen as rows, each of which is normalised.
struct LayerNormRows {
  LayerNormRows(const Node& node, int64_t axis, Span<const int64_t> dims) {
    const auto at =
        static_cast<size_t>(normalizeAxis(node, axis, static_cast<int64_t>(dims.size())));
    rows = product(dims, 0, at);
    size = product(dims, at, dims.size());
  }
  // For a pool: how many rows at least are worth a thread.
  int64_t grain() const { return kElementwiseGrain / (size + 1) + 1; }
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
  double mean;  // 0 without centering
  double inverse_deviation;

  template <class T>
  double normal(T x) const {
    return (static_cast<double>(x) - mean) * inverse_deviation;
  }
};

// In two passes, so that a large mean does not swallow the variance.
template <class T>
RowStatistics rowStatistics(const T* x, int64_t size, double epsilon, Centering centering) {
  double mean = 0;
  if (centering == Centering::kMean) {
    for (int64_t i = 0; i < size; ++i) mean += static_cast<double>(x[i]);
    mean /= static_cast<double>(size);
  }
  double squares = 0;
  for (int64_t i = 0; i < size; ++i) {
    const double d = static_cast<double>(x[i]) - mean;
    squares += d * d;
  }
  return {mean, 1 / std::sqrt(squares / static_cast<double>(size) + epsilon)};
}

// Evaluation: inputs (x, scale, bias), outputs (y, mean, inverse deviation), of which the bias and
// all but y are optional.
template <class T>
void normalizeRows(const EvalContext& c, Centering centering) {
  const auto& attributes = c.node.attributes<LayerNormAttributes>();
  const LayerNormRows x(c.node, attributes.axis, c.in(0).dims);
  const RowParameter<T> scale(c.in(1), x.size);
  const bool has_bias = c.hasIn(2);
  const RowParameter<T> bias(has_bias ? c.in(2) : c.in(1), x.size);
  c.pool.runRanges(x.rows, x.grain(), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* in = c.in(0).data<T>() + row * x.size;
      T* y = c.out().data<T>() + row * x.size;
      const RowStatistics s = rowStatistics(in, x.size, attributes.epsilon, centering);
      for (int64_t i = 0; i < x.size; ++i) {
        y[i] = static_cast<T>(s.normal(in[i])) * scale[i] + (has_bias ? bias[i] : T{0});
      }
      if (c.outputs.size() > 1 && c.out(1).present()) {
        c.out(1).data<T>()[row] = static_cast<T>(s.mean);
      }
      if (c.outputs.size() > 2 && c.out(2).present()) {
        c.out(2).data<T>()[row] = static_cast<T>(s.inverse_deviation);
      }
    }
  });
}

template <Centering kCentering>
void evaluateLayerNorm(const EvalContext& c) {
  visitFloat(c, c.out().type, [&](auto tag) { normalizeRows<decltype(tag)>(c, kCentering); });
}

}  // namespace simaqat::ops
