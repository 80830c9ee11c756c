#include <cmath>

#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/integers.h"
#include "qat/ops/shared/reduction.h"

namespace simaqat::ops {
namespace {

// Added to the deviation, not to the variance: ONNX's number.
constexpr double kEpsilon = 1e-9;

struct MeanVarianceAttributes {
  std::vector<int64_t> axes = {0, 2, 3};

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("axes", self.axes);
  }
};

void infer(InferContext& c) {
  if (const Shape* x = c.shape(0)) {
    markAxes(c.node, c.node.attributes<MeanVarianceAttributes>().axes, x->size());
  }
  inferSameAsInput(c);
}

template <class T>
void normalize(const EvalContext& c) {
  const ReduceWalk walk(c.node, c.in(0).dims, c.node.attributes<MeanVarianceAttributes>().axes);
  const int64_t count = walk.reducedCount();
  if (c.out().size == 0) return;
  const T* x = c.in(0).data<T>();
  T* y = c.out().data<T>();
  const auto normalizeOne = [&](int64_t kept) {
    double sum = 0;
    walk.forEach(kept, [&](int64_t i) { sum += static_cast<double>(x[i]); });
    const double mean = sum / static_cast<double>(count);
    double squares = 0;
    walk.forEach(kept, [&](int64_t i) {
      const double d = static_cast<double>(x[i]) - mean;
      squares += d * d;
    });
    const double deviation = std::sqrt(squares / static_cast<double>(count)) + kEpsilon;
    walk.forEach(kept, [&](int64_t i) {
      y[i] = static_cast<T>((static_cast<double>(x[i]) - mean) / deviation);
    });
  };
  c.pool.runRanges(c.out().size / count, kElementwiseGrain / (count + 1) + 1,
                   [&](int64_t begin, int64_t end) {
                     for (int64_t kept = begin; kept < end; ++kept) normalizeOne(kept);
                   });
}

void evaluate(const EvalContext& c) {
  visitFloat(c, c.out().type, [&](auto tag) { normalize<decltype(tag)>(c); });
}

// dx = (dy - mean(dy) - y mean(dy y)) / deviation
void gradient(GradientContext& c) {
  Value* dy = c.outputGradient();
  Value* y = c.output();
  Value* axes = integers(c, c.node.attributes<MeanVarianceAttributes>().axes);
  const auto mean = [&](Value* value) { return c.add("ReduceMean", {value, axes}); };
  Value* centered = c.add("Sub", {c.input(0), mean(c.input(0))});
  Value* variance = mean(c.add("Mul", {centered, centered}));
  Value* deviation = c.add("Add", {c.add("Sqrt", {variance}), c.scalar(kEpsilon, y)});
  Value* along = c.add("Mul", {y, mean(c.add("Mul", {dy, y}))});
  Value* across = c.add("Sub", {c.add("Sub", {dy, mean(dy)}), along});
  c.setInputGradient(0, c.add("Div", {across, deviation}));
}

std::vector<OpExample> examples() {
  return {
      {"channels", {}, {exampleTensor({2, 3, 4, 2})}},
      {"images", {{"axes", std::vector<int64_t>{1, -1}}}, {exampleTensor({2, 3, 4})}},
  };
}

}  // namespace

OpDefinition defineMeanVarianceNormalization() {
  OpDefinition op;
  op.name = "MeanVarianceNormalization";
  op.first_opset = 9;
  op.make_attributes = &makeAttributes<MeanVarianceAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.in_place = {{0, 0}};
  op.quantization.output = OutputQuantization::kComputes;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
