#include "qat/ops/shared/activations.h"

namespace simaqat::ops {
namespace {

std::vector<OpExample> examples() {
  return {
      {"default", {}, {exampleTensor({2, 3, 4}, 1, -4, 4)}},
      {"attributes", {{"alpha", 0.2f}}, {exampleTensor({2, 3, 4}, 1, -4, 4)}},
  };
}

}  // namespace

OpDefinition defineLeakyRelu() {
  OpDefinition op =
      functionDefinition<LeakyReluFunction>("LeakyRelu", functionGradient);
  op.first_opset = 6;
  op.make_attributes = &makeAttributes<LeakyReluAttributes>;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
