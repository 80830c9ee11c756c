#include "qat/ops/shared/activations.h"

namespace simaqat::ops {

OpDefinition defineGeluGradient() {
  OpDefinition op = functionGradientDefinition<GeluFunction>("GeluGradient");
  op.make_attributes = &makeAttributes<GeluAttributes>;
  return op;
}

}  // namespace simaqat::ops
