#include "qat/ops/shared/activations.h"

namespace simaqat::ops {

OpDefinition defineHardSwishGradient() {
  return functionGradientDefinition<HardSwishFunction>("HardSwishGradient");
}

}  // namespace simaqat::ops
