#include "qat/ops/shared/activations.h"

namespace simaqat::ops {

OpDefinition defineSeluGradient() {
  OpDefinition op = functionGradientDefinition<SeluFunction>("SeluGradient");
  op.make_attributes = &makeAttributes<SeluAttributes>;
  return op;
}

}  // namespace simaqat::ops
