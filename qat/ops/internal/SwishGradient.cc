#include "qat/ops/shared/activations.h"

namespace simaqat::ops {

OpDefinition defineSwishGradient() {
  OpDefinition op = functionGradientDefinition<SwishFunction>("SwishGradient");
  op.make_attributes = &makeAttributes<SwishAttributes>;
  return op;
}

}  // namespace simaqat::ops
