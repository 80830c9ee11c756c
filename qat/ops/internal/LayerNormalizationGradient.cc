#include "qat/ops/shared/layer_norm.h"

namespace simaqat::ops {
namespace {

// dx of LayerNormalization, from inputs (dy, x, scale): with n the normalised row, d its deviation
// and g = dy scale, dx = (g - mean(g) - n mean(g n)) / d.

template <class T>
void rowGradient(const EvalContext& c, const LayerNormRows& shape, int64_t row) {
  const T* dy = c.in(0).data<T>() + row * shape.size;
  const T* x = c.in(1).data<T>() + row * shape.size;
  const RowParameter<T> scale(c.in(2), shape.size);
  T* dx = c.out().data<T>() + row * shape.size;
  const RowStatistics s =
      rowStatistics(x, shape.size, c.node.attributes<LayerNormAttributes>().epsilon);
  const auto normal = [&](int64_t i) {
    return (static_cast<double>(x[i]) - s.mean) * s.inverse_deviation;
  };
  const auto scaled = [&](int64_t i) {
    return static_cast<double>(dy[i]) * static_cast<double>(scale[i]);
  };
  double sum = 0;
  double product = 0;
  for (int64_t i = 0; i < shape.size; ++i) {
    sum += scaled(i);
    product += scaled(i) * normal(i);
  }
  const auto count = static_cast<double>(shape.size);
  for (int64_t i = 0; i < shape.size; ++i) {
    dx[i] = static_cast<T>((scaled(i) - sum / count - normal(i) * (product / count)) *
                           s.inverse_deviation);
  }
}

void evaluate(const EvalContext& c) {
  const LayerNormRows shape(c, c.in(1).dims);
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    c.pool.runRanges(shape.rows, kElementwiseGrain / (shape.size + 1) + 1,
                     [&](int64_t begin, int64_t end) {
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
  op.make_attributes = &makeAttributes<LayerNormAttributes>;
  op.infer = inferSameAsInput;
  op.evaluate = evaluate;
  op.gradient_is_error = true;
  op.in_place = {{0, 0}, {1, 0}};
  return op;
}

}  // namespace simaqat::ops
