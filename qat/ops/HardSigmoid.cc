#include "qat/ops/shared/activations.h"

namespace simaqat::ops {
namespace {

std::vector<OpExample> examples() {
  return {
      {"default", {}, {exampleTensor({2, 3, 4}, 1, -4, 4)}},
      {"attributes", {{"alpha", 0.31f}, {"beta", 0.4f}}, {exampleTensor({2, 3, 4}, 1, -4, 4)}},
  };
}

}  // namespace

OpDefinition defineHardSigmoid() {
  OpDefinition op =
      functionDefinition<HardSigmoidFunction>("HardSigmoid", functionGradient);
  op.first_opset = 6;
  op.make_attributes = &makeAttributes<HardSigmoidAttributes>;
  op.quantization.fixed_range = 1;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
