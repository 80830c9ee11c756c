#include "qat/ops/shared/activations.h"

namespace simaqat::ops {

OpDefinition defineShrinkGradient() {
  OpDefinition op = functionGradientDefinition<ShrinkFunction>("ShrinkGradient");
  op.make_attributes = &makeAttributes<ShrinkAttributes>;
  return op;
}

}  // namespace simaqat::ops
