#include "qat/ops/shared/activations.h"

namespace simaqat::ops {

OpDefinition defineHardSigmoidGradient() {
  OpDefinition op = functionGradientDefinition<HardSigmoidFunction>("HardSigmoidGradient");
  op.make_attributes = &makeAttributes<HardSigmoidAttributes>;
  return op;
}

}  // namespace simaqat::ops
