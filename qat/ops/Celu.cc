#include "qat/ops/shared/activations.h"

namespace simaqat::ops {
namespace {

std::vector<OpExample> examples() {
  return {
      {"default", {}, {exampleTensor({2, 3, 4}, 1, -4, 4)}},
      {"attributes", {{"alpha", 0.7f}}, {exampleTensor({2, 3, 4}, 1, -4, 4)}},
  };
}

}  // namespace

OpDefinition defineCelu() {
  OpDefinition op = functionDefinition<CeluFunction>("Celu", functionGradient);
  op.first_opset = 12;
  op.make_attributes = &makeAttributes<CeluAttributes>;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
