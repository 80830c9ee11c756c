#include "qat/ops/shared/unary.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) { c.setOutput(0, ElementType::kBool, c.input(0).shape); }

void evaluate(const EvalContext& c) {
  visitFloat(c, c.in(0).type, [&](auto tag) {
    using T = decltype(tag);
    mapUnary<T, bool>(c, [](T x) { return std::isnan(x); });
  });
}

std::vector<OpExample> examples() { return {{"", {}, {exampleTensor({2, 3, 4})}}}; }

}  // namespace

OpDefinition defineIsNaN() {
  OpDefinition op;
  op.name = "IsNaN";
  op.first_opset = 9;
  op.infer = infer;
  op.evaluate = evaluate;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
