#include "qat/ops/shared/approximation.h"

#include "qat/ops/shared/approximation_attributes.h"
#include "qat/ops/shared/gradient_nodes.h"

namespace simaqat::ops {

void sampledGradient(GradientContext& c, bool of_table) {
  Value* slope = c.add("simaqat::SampledSlope",
                       {c.input(kSampledX), c.input(kSampledPoints), c.input(kSampledValues)},
                       SampledSlopeAttributes{of_table});
  c.setInputGradient(kSampledX, gradientTimes(c, c.outputGradient(), slope));
}

}  // namespace simaqat::ops
