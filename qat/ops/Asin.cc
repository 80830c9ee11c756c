#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/unary.h"

namespace simaqat::ops {
namespace {

struct Function {
  template <class T>
  T operator()(T x) const {
    return std::asin(x);
  }
};

// dx = dy / sqrt(1 - x^2)
void gradient(GradientContext& c) {
  Value* square = c.add("Mul", {c.input(0), c.input(0)});
  Value* under = c.add("Sub", {c.scalar(1, c.input(0)), square});
  c.setInputGradient(0, gradientOver(c, c.outputGradient(), c.add("Sqrt", {under})));
}

std::vector<OpExample> examples() { return {{"", {}, {exampleTensor({2, 3, 4}, 1, -0.9, 0.9)}}}; }

}  // namespace

OpDefinition defineAsin() {
  OpDefinition op = functionDefinition<Function>("Asin", gradient);
  op.first_opset = 7;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
