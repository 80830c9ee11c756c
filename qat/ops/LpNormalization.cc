#include <cmath>

#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gather.h"
#include "qat/ops/shared/gradient_nodes.h"

namespace simaqat::ops {
namespace {

struct LpNormAttributes {
  int64_t axis = -1;
  int64_t p = 2;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("axis", self.axis);
    visit("p", self.p);
  }
};

void infer(InferContext& c) {
  const auto& attributes = c.node.attributes<LpNormAttributes>();
  if (attributes.p != 1 && attributes.p != 2) {
    c.node.fail("attribute 'p': expected 1 or 2, got {}", attributes.p);
  }
  if (const Shape* x = c.shape(0)) {
    normalizeAxis(c.node, attributes.axis, static_cast<int64_t>(x->size()));
  }
  inferSameAsInput(c);
}

template <class T>
double lineNorm(const T* x, int64_t size, int64_t stride, int64_t p) {
  double sum = 0;
  for (int64_t i = 0; i < size; ++i) {
    const auto v = static_cast<double>(x[i * stride]);
    sum += p == 1 ? std::abs(v) : v * v;
  }
  return p == 1 ? sum : std::sqrt(sum);
}

// A line of zeros stays one.
void evaluate(const EvalContext& c) {
  const auto& attributes = c.node.attributes<LpNormAttributes>();
  const AxisSplit split(c.node, attributes.axis, c.in(0).dims);
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    forEachLine(c, split, [&](int64_t first, int64_t size, int64_t stride) {
      const T* x = c.in(0).data<T>() + first;
      T* y = c.out().data<T>() + first;
      const double norm = lineNorm(x, size, stride, attributes.p);
      for (int64_t i = 0; i < size; ++i) {
        const auto v = static_cast<double>(x[i * stride]);
        y[i * stride] = static_cast<T>(norm == 0 ? 0 : v / norm);
      }
    });
  });
}

// dx = (dy - d sum(dy y)) / norm, where d is the norm's derivative: y or, for p = 1, sign(x). A
// line of zeros has none.
void gradient(GradientContext& c) {
  const auto& attributes = c.node.attributes<LpNormAttributes>();
  Value* dy = c.outputGradient();
  Value* axis = integers(c, {attributes.axis});
  Value* norm = c.add(attributes.p == 1 ? "ReduceL1" : "ReduceL2", {c.input(0), axis});
  Value* zero = c.scalar(0, dy);
  Value* inverse =
      c.add("Where", {c.add("Equal", {norm, zero}), zero, c.add("Reciprocal", {norm})});
  Value* slope = attributes.p == 1 ? c.add("Sign", {c.input(0)}) : c.output();
  Value* sum = c.add("ReduceSum", {c.add("Mul", {dy, c.output()}), axis});
  Value* across = c.add("Sub", {dy, c.add("Mul", {slope, sum})});
  c.setInputGradient(0, c.add("Mul", {across, inverse}));
}

std::vector<OpExample> examples() {
  const AttributeMap sums = {{"p", int64_t{1}}, {"axis", int64_t{1}}};
  return {
      {"last axis", {}, {exampleTensor({2, 3, 4})}},
      {"sums", sums, {exampleTensor({2, 3, 4})}},
      {"first axis", {{"axis", int64_t{0}}}, {exampleTensor({3, 2})}},
  };
}

}  // namespace

OpDefinition defineLpNormalization() {
  OpDefinition op;
  op.name = "LpNormalization";
  op.make_attributes = &makeAttributes<LpNormAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.in_place = {{0, 0}};
  op.quantization.output = OutputQuantization::kComputes;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
