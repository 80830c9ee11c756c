#include "qat/ops/shared/logic.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  c.expectElement(0, ElementType::kBool);
  inferSameAsInput(c);
}

void evaluate(const EvalContext& c) {
  mapUnary<bool, bool>(c, [](bool x) { return !x; });
}

std::vector<OpExample> examples() { return {{"", {}, {exampleBooleans({2, 3}, 1)}}}; }

}  // namespace

OpDefinition defineNot() {
  OpDefinition op;
  op.name = "Not";
  op.infer = infer;
  op.evaluate = evaluate;
  op.in_place = {{0, 0}};
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
