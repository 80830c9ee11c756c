#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/unary.h"

namespace simaqat::ops {
namespace {

struct Function {
  template <class T>
  T operator()(T x) const {
    return T{1} / x;
  }
};

// dx = -dy y y
void gradient(GradientContext& c) {
  Value* square = c.add("Mul", {c.output(), c.output()});
  c.setInputGradient(0, c.add("Neg", {gradientTimes(c, c.outputGradient(), square)}));
}

std::vector<OpExample> examples() { return {{"", {}, {exampleTensor({2, 3, 4}, 1, 0.3, 3)}}}; }

}  // namespace

OpDefinition defineReciprocal() {
  OpDefinition op = functionDefinition<Function>("Reciprocal", gradient);
  op.first_opset = 6;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
