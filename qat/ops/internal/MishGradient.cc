#include "qat/ops/shared/activations.h"

namespace simaqat::ops {

OpDefinition defineMishGradient() {
  return functionGradientDefinition<MishFunction>("MishGradient");
}

}  // namespace simaqat::ops
