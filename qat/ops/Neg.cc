#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/examples.h"

namespace simaqat::ops {
namespace {

void evaluate(const EvalContext& c) {
  visitNumber(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    mapUnary<T, T>(c, [](T x) { return static_cast<T>(-x); });
  });
}

void gradient(GradientContext& c) { c.setInputGradient(0, c.add("Neg", {c.outputGradient()})); }

std::vector<OpExample> examples() { return {{"", {}, {exampleTensor({2, 3})}}}; }

}  // namespace

OpDefinition defineNeg() {
  OpDefinition op;
  op.name = "Neg";
  op.first_opset = 6;
  op.infer = inferSameAsInput;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.in_place = {{0, 0}};
  op.quantization.output = OutputQuantization::kComputes;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
