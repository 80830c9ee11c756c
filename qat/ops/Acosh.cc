#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/unary.h"

namespace simaqat::ops {
namespace {

struct Function {
  template <class T>
  T operator()(T x) const {
    return std::acosh(x);
  }
};

// dx = dy / sqrt(x^2 - 1)
void gradient(GradientContext& c) {
  Value* square = c.add("Mul", {c.input(0), c.input(0)});
  Value* under = c.add("Sub", {square, c.scalar(1, c.input(0))});
  c.setInputGradient(0, gradientOver(c, c.outputGradient(), c.add("Sqrt", {under})));
}

std::vector<OpExample> examples() { return {{"", {}, {exampleTensor({2, 3, 4}, 1, 1.2, 4)}}}; }

}  // namespace

OpDefinition defineAcosh() {
  OpDefinition op = functionDefinition<Function>("Acosh", gradient);
  op.first_opset = 9;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
