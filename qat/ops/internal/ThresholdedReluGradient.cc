#include "qat/ops/shared/activations.h"

namespace simaqat::ops {

OpDefinition defineThresholdedReluGradient() {
  OpDefinition op = functionGradientDefinition<ThresholdedReluFunction>("ThresholdedReluGradient");
  op.make_attributes = &makeAttributes<ThresholdedReluAttributes>;
  return op;
}

}  // namespace simaqat::ops
