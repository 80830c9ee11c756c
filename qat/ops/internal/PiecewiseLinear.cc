#include "qat/ops/shared/approximation.h"
#include "qat/ops/shared/approximation_attributes.h"
#include "qat/ops/shared/examples.h"

namespace simaqat::ops {
namespace {

// A function by straight lines between its values at some points.

struct Line {
  template <class T>
  T operator()(const Samples<T>& samples, T x) const {
    const int64_t i = samples.segment(x);
    return samples.value(i) + samples.slope(i, i + 1) * (x - samples.point(i));
  }
};

void evaluate(const EvalContext& c) { evaluateSampled(c, Line{}); }

void gradient(GradientContext& c) { sampledGradient(c, false); }

std::vector<OpExample> examples() {
  OpExample example("",
                    {},
                    {exampleTensor({2, 3, 4}, 1, -3, 3),
                     Tensor::of<double>({5}, {-2, -1, 0, 1, 2}),
                     Tensor::of<double>({5}, {0, 0.5, -1, 2, 2.25})});
  example.differentiate = {kSampledX};
  return {example};
}

}  // namespace

OpDefinition definePiecewiseLinear() {
  OpDefinition op;
  op.name = "PiecewiseLinear";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 3;
  op.make_attributes = &makeAttributes<ApproximationAttributes>;
  op.infer = inferSampled;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.in_place = {{0, 0}};
  op.quantization.output = OutputQuantization::kComputes;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
