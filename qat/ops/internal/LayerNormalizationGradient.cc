#include "qat/ops/shared/layer_norm.h"

namespace simaqat::ops {
namespace {

// dx of LayerNormalization and RMSNormalization, from inputs (dy, x, scale): with n the normalised
// row, d its deviation and g = dy scale, dx = (g - mean(g) - n mean(g n)) / d, where mean(g) is
// left out unless x is centered.

template <class T>
void rowGradient(const EvalContext& c, const LayerNormRows& shape, int64_t row) {
  const auto& attributes = c.node.attributes<LayerNormGradientAttributes>();
  const Centering centering = attributes.centered ? Centering::kMean : Centering::kNone;
  const T* dy = c.in(0).data<T>() + row * shape.size;
  const T* x = c.in(1).data<T>() + row * shape.size;
  const RowParameter<T> scale(c.in(2), shape.size);
  T* dx = c.out().data<T>() + row * shape.size;
  const RowStatistics s = rowStatistics(x, shape.size, attributes.epsilon, centering);
  const auto scaled = [&](int64_t i) {
    return static_cast<double>(dy[i]) * static_cast<double>(scale[i]);
  };
  double sum = 0;
  double product = 0;
  for (int64_t i = 0; i < shape.size; ++i) {
    sum += scaled(i);
    product += scaled(i) * s.normal(x[i]);
  }
  const auto count = static_cast<double>(shape.size);
  const double mean = attributes.centered ? sum / count : 0;
  for (int64_t i = 0; i < shape.size; ++i) {
    dx[i] = static_cast<T>((scaled(i) - mean - s.normal(x[i]) * (product / count)) *
                           s.inverse_deviation);
  }
}

void evaluate(const EvalContext& c) {
  const LayerNormRows shape(c.node, c.node.attributes<LayerNormGradientAttributes>().axis,
                            c.in(1).dims);
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    c.pool.runRanges(shape.rows, shape.grain(), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) rowGradient<T>(c, shape, row);
    });
  });
}

}  // namespace

OpDefinition defineLayerNormalizationGradient() {
  OpDefinition op;
  op.name = "LayerNormalizationGradient";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 3;
  op.make_attributes = &makeAttributes<LayerNormGradientAttributes>;
  op.infer = inferSameAsInput;
  op.evaluate = evaluate;
  op.gradient_is_error = true;
  op.in_place = {{0, 0}, {1, 0}};
  return op;
}

}  // namespace simaqat::ops
