#include "qat/ops/shared/activations.h"

namespace simaqat::ops {
namespace {

std::vector<OpExample> examples() { return {{"", {}, {exampleTensor({2, 3, 5}, 1, -5, 5)}}}; }

}  // namespace

OpDefinition defineHardSwish() {
  OpDefinition op =
      functionDefinition<HardSwishFunction>("HardSwish", functionGradient);
  op.first_opset = 14;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
