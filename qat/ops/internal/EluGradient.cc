#include "qat/ops/shared/activations.h"

namespace simaqat::ops {

OpDefinition defineEluGradient() {
  OpDefinition op = functionGradientDefinition<EluFunction>("EluGradient");
  op.make_attributes = &makeAttributes<EluAttributes>;
  return op;
}

}  // namespace simaqat::ops
