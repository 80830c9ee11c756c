#include "qat/ops/shared/activations.h"

namespace simaqat::ops {

OpDefinition defineLeakyReluGradient() {
  OpDefinition op = functionGradientDefinition<LeakyReluFunction>("LeakyReluGradient");
  op.make_attributes = &makeAttributes<LeakyReluAttributes>;
  return op;
}

}  // namespace simaqat::ops
