#include "qat/ops/shared/approximation.h"

#include "qat/ops/shared/approximation_attributes.h"
#include "qat/ops/shared/gradient_nodes.h"

namespace simaqat::ops {

void inferSampled(InferContext& c) {
  for (size_t i : {kSampledPoints, kSampledValues}) {
    c.expectRank(i, 1);
    c.expectElement(i, c.input(kSampledX).element);
  }
  c.setOutput(0, c.input(kSampledX).element, c.input(kSampledX).shape);
}

void checkSamples(const EvalContext& c) {
  const int64_t points = c.in(kSampledPoints).size;
  const int64_t values = c.in(kSampledValues).size;
  if (points < 2 || points != values) {
    c.node.fail("expected 2 points or more and as many values, got {} and {}", points, values);
  }
}

void sampledGradient(GradientContext& c, bool of_table) {
  Value* slope = c.add("simaqat::SampledSlope",
                       {c.input(kSampledX), c.input(kSampledPoints), c.input(kSampledValues)},
                       SampledSlopeAttributes{of_table});
  c.setInputGradient(kSampledX, gradientTimes(c, c.outputGradient(), slope));
}

}  // namespace simaqat::ops
