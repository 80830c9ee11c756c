#include "qat/ops/shared/approximation.h"
#include "qat/ops/shared/approximation_attributes.h"

namespace simaqat::ops {
namespace {

// A function by its value at the nearest of some points, and at the outermost ones beyond them.

struct Lookup {
  template <class T>
  T operator()(const Samples<T>& samples, T x) const {
    return samples.value(samples.nearest(x));
  }
};

void evaluate(const EvalContext& c) { evaluateSampled(c, Lookup{}); }

void gradient(GradientContext& c) { sampledGradient(c, true); }

}  // namespace

OpDefinition defineTableLookup() {
  OpDefinition op;
  op.name = "TableLookup";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 3;
  op.make_attributes = &makeAttributes<ApproximationAttributes>;
  op.infer = inferSampled;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.in_place = {{0, 0}};
  op.quantization.output = OutputQuantization::kComputes;
  return op;
}

}  // namespace simaqat::ops
