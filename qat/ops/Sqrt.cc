#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/unary.h"

namespace simaqat::ops {
namespace {

struct Function {
  template <class T>
  T operator()(T x) const {
    return std::sqrt(x);
  }
};

// dx = dy / 2 / y
void gradient(GradientContext& c) {
  Value* half = c.add("Mul", {c.outputGradient(), c.scalar(0.5, c.output())});
  c.setInputGradient(0, gradientOver(c, half, c.output()));
}

std::vector<OpExample> examples() { return {{"", {}, {exampleTensor({2, 3, 4}, 1, 0.2, 3)}}}; }

}  // namespace

OpDefinition defineSqrt() {
  OpDefinition op = functionDefinition<Function>("Sqrt", gradient);
  op.first_opset = 6;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
