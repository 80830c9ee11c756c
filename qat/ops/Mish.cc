#include "qat/ops/shared/activations.h"

namespace simaqat::ops {

OpDefinition defineMish() {
  OpDefinition op = functionDefinition<MishFunction>("Mish", functionGradient);
  op.first_opset = 18;
  return op;
}

}  // namespace simaqat::ops
