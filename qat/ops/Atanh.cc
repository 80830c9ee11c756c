#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/unary.h"

namespace simaqat::ops {
namespace {

struct Function {
  template <class T>
  T operator()(T x) const {
    return std::atanh(x);
  }
};

// dx = dy / (1 - x^2)
void gradient(GradientContext& c) {
  Value* square = c.add("Mul", {c.input(0), c.input(0)});
  Value* denominator = c.add("Sub", {c.scalar(1, c.input(0)), square});
  c.setInputGradient(0, gradientOver(c, c.outputGradient(), denominator));
}

std::vector<OpExample> examples() { return {{"", {}, {exampleTensor({2, 3, 4}, 1, -0.9, 0.9)}}}; }

}  // namespace

OpDefinition defineAtanh() {
  OpDefinition op = functionDefinition<Function>("Atanh", gradient);
  op.first_opset = 9;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
