#include "qat/ops/shared/cast.h"
#include "qat/ops/shared/examples.h"

namespace simaqat::ops {
namespace {

struct CastLikeAttributes {
  bool saturate = true;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("saturate", self.saturate);
  }
};

void infer(InferContext& c) { c.setOutput(0, c.input(1).element, c.input(0).shape); }

void upgrade(PortableNode& node, int) {
  // It says how float8e8m0 is rounded, a type that is not supported.
  node.attributes.erase("round_mode");
}

void downgrade(PortableNode& node, int opset) {
  if (opset < 19) node.attributes.erase("saturate");
}

std::vector<OpExample> examples() {
  return {
      {"to integers", {}, {exampleTensor({2, 3}, 1, -9, 9), exampleIntegers({1}, 0, 2)}},
      {"to float", {}, {exampleIntegers({4}, -9, 9), exampleTensor({2})}},
      {"to the same", {}, {exampleTensor({4}), exampleTensor({2})}},
  };
}

}  // namespace

OpDefinition defineCastLike() {
  OpDefinition op;
  op.name = "CastLike";
  op.first_opset = 15;
  op.min_inputs = op.max_inputs = 2;
  op.make_attributes = &makeAttributes<CastLikeAttributes>;
  op.infer = infer;
  op.evaluate = evaluateCast;
  op.gradient = castGradient;
  op.upgrade = upgrade;
  op.downgrade = downgrade;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
