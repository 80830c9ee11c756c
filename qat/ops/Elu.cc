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

OpDefinition defineElu() {
  OpDefinition op = functionDefinition<EluFunction>("Elu", functionGradient);
  op.first_opset = 6;
  op.make_attributes = &makeAttributes<EluAttributes>;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
