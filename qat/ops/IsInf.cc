#include "qat/ops/shared/unary.h"

namespace simaqat::ops {
namespace {

struct IsInfAttributes {
  int64_t detect_negative = 1;
  int64_t detect_positive = 1;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("detect_negative", self.detect_negative);
    visit("detect_positive", self.detect_positive);
  }
};

void infer(InferContext& c) { c.setOutput(0, ElementType::kBool, c.input(0).shape); }

void evaluate(const EvalContext& c) {
  const auto& attributes = c.node.attributes<IsInfAttributes>();
  const bool negative = attributes.detect_negative != 0;
  const bool positive = attributes.detect_positive != 0;
  visitFloat(c, c.in(0).type, [&](auto tag) {
    using T = decltype(tag);
    mapUnary<T, bool>(
        c, [=](T x) { return std::isinf(x) && (std::signbit(x) ? negative : positive); });
  });
}

std::vector<OpExample> examples() {
  return {
      {"default", {}, {exampleTensor({2, 3, 4})}},
      {"positive", {{"detect_negative", int64_t{0}}}, {exampleTensor({2, 3, 4})}},
  };
}

}  // namespace

OpDefinition defineIsInf() {
  OpDefinition op;
  op.name = "IsInf";
  op.first_opset = 10;
  op.make_attributes = &makeAttributes<IsInfAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
