#include "qat/ops/shared/activations.h"

namespace simaqat::ops {

OpDefinition defineCeluGradient() {
  OpDefinition op = functionGradientDefinition<CeluFunction>("CeluGradient");
  op.make_attributes = &makeAttributes<CeluAttributes>;
  return op;
}

}  // namespace simaqat::ops
