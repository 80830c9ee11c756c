#include <algorithm>

#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/layer_norm.h"

namespace simaqat::ops {
namespace {

// A scale or bias is one number, or has the dimensions of the last axes.
void checkParameter(const InferContext& c, size_t input, const Shape& x, size_t axis) {
  const Shape* p = c.shape(input);
  if (p == nullptr || *p == Shape{} || *p == Shape{1}) return;
  bool fits = p->size() <= x.size() - axis;
  for (size_t k = 0; fits && k < p->size(); ++k) {
    const Dim& own = (*p)[p->size() - 1 - k];
    const Dim& dim = x[x.size() - 1 - k];
    fits = own == dim || !own.known() || !dim.known();
  }
  if (!fits) {
    c.node.fail("input {}: expected the dimensions of {} from axis {} on, got {}", input,
                shapeToString(x), axis, shapeToString(*p));
  }
}

void infer(InferContext& c) {
  const ElementType element = c.input(0).element;
  const Shape* x = c.shape(0);
  std::optional<Shape> statistics;
  if (x != nullptr) {
    const auto axis = static_cast<size_t>(normalizeAxis(
        c.node, c.node.attributes<LayerNormAttributes>().axis, static_cast<int64_t>(x->size())));
    for (size_t i = 1; i < 3; ++i) checkParameter(c, i, *x, axis);
    statistics = *x;
    std::fill(statistics->begin() + static_cast<int64_t>(axis), statistics->end(), Dim(1));
  }
  for (size_t i = 1; i < 3; ++i) c.expectElement(i, element);
  c.setOutput(0, element, c.input(0).shape);
  c.setOutput(1, element, statistics);
  c.setOutput(2, element, statistics);
}

template <class T>
void normalize(const EvalContext& c) {
  const LayerNormRows x(c, c.in(0).dims);
  const double epsilon = c.node.attributes<LayerNormAttributes>().epsilon;
  const RowParameter<T> scale(c.in(1), x.size);
  const bool has_bias = c.hasIn(2);
  const RowParameter<T> bias(has_bias ? c.in(2) : c.in(1), x.size);
  c.pool.runRanges(x.rows, kElementwiseGrain / (x.size + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* in = c.in(0).data<T>() + row * x.size;
      T* y = c.out().data<T>() + row * x.size;
      const RowStatistics s = rowStatistics(in, x.size, epsilon);
      for (int64_t i = 0; i < x.size; ++i) {
        const T normal =
            static_cast<T>((static_cast<double>(in[i]) - s.mean) * s.inverse_deviation);
        y[i] = normal * scale[i] + (has_bias ? bias[i] : T{0});
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

void evaluate(const EvalContext& c) {
  visitFloat(c, c.out().type, [&](auto tag) { normalize<decltype(tag)>(c); });
}

void gradient(GradientContext& c) {
  Value* dy = c.outputGradient();
  for (size_t i = 1; i < c.node.outputCount(); ++i) {
    if (c.outputGradient(i) != nullptr) c.node.fail("output {} has no gradient", i);
  }
  if (c.wants(0)) {
    c.setInputGradient(0, c.add("simaqat::LayerNormalizationGradient", {dy, c.input(0), c.input(1)},
                                c.node.rawAttributes().clone()));
  }
  if (c.wants(1)) {
    Value* normal =
        c.add("LayerNormalization", {c.input(0), c.scalar(1, dy)}, c.node.rawAttributes().clone());
    c.setInputGradient(1, c.sumTo(c.add("Mul", {dy, normal}), c.input(1)));
  }
  if (c.wants(2)) c.setInputGradient(2, c.sumTo(dy, c.input(2)));
}

std::vector<OpExample> examples() {
  return {
      {"last axis",
       {},
       {exampleTensor({3, 4, 5}, 1, -2, 2), exampleTensor({5}, 2, 0.5, 2), exampleTensor({5}, 3)}},
      {"two axes",
       {{"axis", int64_t{1}}, {"epsilon", 0.01f}},
       {exampleTensor({3, 2, 4}), exampleTensor({2, 4}, 2), exampleTensor({4}, 3)}},
      {"no bias", {{"axis", int64_t{-2}}}, {exampleTensor({2, 3, 4}), exampleTensor({4}, 2)}},
      {"one scale", {}, {exampleTensor({2, 6}), exampleTensor({1}, 2)}},
  };
}

}  // namespace

OpDefinition defineLayerNormalization() {
  OpDefinition op;
  op.name = "LayerNormalization";
  op.first_opset = 17;
  op.min_inputs = 2;
  op.max_inputs = 3;
  op.max_outputs = 3;
  op.make_attributes = &makeAttributes<LayerNormAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.in_place = {{0, 0}};
  op.quantization.output = OutputQuantization::kComputes;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
