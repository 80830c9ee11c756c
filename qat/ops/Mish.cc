#include "qat/ops/shared/activations.h"

namespace simaqat::ops {

OpDefinition defineMish() {
  OpDefinition op = unaryDefinition("Mish", evaluateUnary<MishFunction>, functionGradient);
  op.first_opset = 18;
  return op;
}

}  // namespace simaqat::ops
