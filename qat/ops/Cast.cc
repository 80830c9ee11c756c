#include "qat/ops/shared/cast.h"

#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gradient_nodes.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  const int64_t to = c.node.attributes<CastAttributes>().to;
  c.setOutput(0, elementAttribute(c.node, "to", to), c.input(0).shape);
}

void upgrade(PortableNode& node, int) {
  widen16BitFloat(node, "to");
  // It says how float8e8m0 is rounded, a type that is not supported.
  node.attributes.erase("round_mode");
}

void downgrade(PortableNode& node, int opset) {
  if (opset < 19) node.attributes.erase("saturate");
}

std::vector<OpExample> examples() {
  const auto to = [](ElementType type) { return AttributeMap{{"to", static_cast<int64_t>(type)}}; };
  return {
      {"to integers", to(ElementType::kInt64), {exampleTensor({2, 3}, 1, -9, 9)}},
      {"to bool", to(ElementType::kBool), {exampleIntegers({4}, 0, 2)}},
      {"to double", to(ElementType::kDouble), {exampleTensor({2, 3})}},
      {"to float", to(ElementType::kFloat), {exampleIntegers({4}, -9, 9)}},
  };
}

}  // namespace

OpDefinition defineCast() {
  OpDefinition op;
  op.name = "Cast";
  op.make_attributes = &makeAttributes<CastAttributes>;
  op.infer = infer;
  op.evaluate = evaluateCast;
  op.gradient = castGradient;
  op.upgrade = upgrade;
  op.downgrade = downgrade;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
