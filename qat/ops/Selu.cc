#include "qat/ops/shared/activations.h"

namespace simaqat::ops {
namespace {

std::vector<OpExample> examples() {
  return {
      {"default", {}, {exampleTensor({2, 3, 4}, 1, -4, 4)}},
      {"attributes", {{"alpha", 0.7f}, {"gamma", 1.3f}}, {exampleTensor({2, 3, 4}, 1, -4, 4)}},
  };
}

}  // namespace

OpDefinition defineSelu() {
  OpDefinition op = functionDefinition<SeluFunction>("Selu", functionGradient);
  op.first_opset = 7;
  op.make_attributes = &makeAttributes<SeluAttributes>;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
