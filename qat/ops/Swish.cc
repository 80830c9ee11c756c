#include "qat/ops/shared/activations.h"

namespace simaqat::ops {
namespace {

std::vector<OpExample> examples() {
  return {
      {"default", {}, {exampleTensor({2, 3, 4}, 1, -4, 4)}},
      {"alpha", {{"alpha", 1.7f}}, {exampleTensor({2, 3, 4}, 1, -4, 4)}},
  };
}

}  // namespace

OpDefinition defineSwish() {
  OpDefinition op = functionDefinition<SwishFunction>("Swish", functionGradient);
  op.first_opset = 24;
  op.make_attributes = &makeAttributes<SwishAttributes>;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
