#include "qat/ops/shared/activations.h"

namespace simaqat::ops {
namespace {

std::vector<OpExample> examples() {
  return {
      {"default", {}, {exampleTensor({2, 3, 4}, 1, -4, 4)}},
      {"attributes", {{"lambd", 0.9f}, {"bias", 0.3f}}, {exampleTensor({2, 3, 4}, 1, -4, 4)}},
  };
}

}  // namespace

OpDefinition defineShrink() {
  OpDefinition op = functionDefinition<ShrinkFunction>("Shrink", functionGradient);
  op.first_opset = 9;
  op.make_attributes = &makeAttributes<ShrinkAttributes>;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
