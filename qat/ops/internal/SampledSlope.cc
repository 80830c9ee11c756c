#include "qat/ops/shared/approximation.h"
#include "qat/ops/shared/approximation_attributes.h"

namespace simaqat::ops {
namespace {

// The slope of PiecewiseLinear, or of TableLookup, which is 0 beyond its points.

struct Slope {
  bool of_table;
  template <class T>
  T operator()(const Samples<T>& samples, T x) const {
    if (!of_table) {
      const int64_t i = samples.segment(x);
      return samples.slope(i, i + 1);
    }
    if (!samples.isWithin(x)) return T{0};
    const int64_t i = samples.nearest(x);
    return samples.slope(std::max<int64_t>(i - 1, 0), std::min(i + 1, samples.last()));
  }
};

void evaluate(const EvalContext& c) {
  evaluateSampled(c, Slope{c.node.attributes<SampledSlopeAttributes>().of_table});
}

}  // namespace

OpDefinition defineSampledSlope() {
  OpDefinition op;
  op.name = "SampledSlope";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 3;
  op.make_attributes = &makeAttributes<SampledSlopeAttributes>;
  op.infer = inferSampled;
  op.evaluate = evaluate;
  op.in_place = {{0, 0}};
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
