#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/unary.h"

namespace simaqat::ops {
namespace {

struct Function {
  template <class T>
  T operator()(T x) const {
    return std::asinh(x);
  }
};

// dx = dy / sqrt(x^2 + 1)
void gradient(GradientContext& c) {
  Value* square = c.add("Mul", {c.input(0), c.input(0)});
  Value* under = c.add("Add", {square, c.scalar(1, c.input(0))});
  c.setInputGradient(0, gradientOver(c, c.outputGradient(), c.add("Sqrt", {under})));
}

}  // namespace

OpDefinition defineAsinh() {
  OpDefinition op = functionDefinition<Function>("Asinh", gradient);
  op.first_opset = 9;
  return op;
}

}  // namespace simaqat::ops
