#include "qat/ops/shared/activations.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  const std::string& approximate = c.node.attributes<GeluAttributes>().approximate;
  if (approximate != "none" && approximate != "tanh") {
    c.node.fail("attribute 'approximate': expected none or tanh, got {}", approximate);
  }
  inferSameAsInput(c);
}

std::vector<OpExample> examples() {
  return {
      {"default", {}, {exampleTensor({2, 3, 4}, 1, -4, 4)}},
      {"attributes", {{"approximate", std::string("tanh")}}, {exampleTensor({2, 3, 4}, 1, -4, 4)}},
  };
}

}  // namespace

OpDefinition defineGelu() {
  OpDefinition op = functionDefinition<GeluFunction>("Gelu", functionGradient);
  op.first_opset = 20;
  op.infer = infer;
  op.make_attributes = &makeAttributes<GeluAttributes>;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
