#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/unary.h"

namespace simaqat::ops {
namespace {

struct Function {
  template <class T>
  T operator()(T x) const {
    return std::atan(x);
  }
};

// dx = dy / (1 + x^2)
void gradient(GradientContext& c) {
  Value* square = c.add("Mul", {c.input(0), c.input(0)});
  Value* denominator = c.add("Add", {c.scalar(1, c.input(0)), square});
  c.setInputGradient(0, gradientOver(c, c.outputGradient(), denominator));
}

}  // namespace

OpDefinition defineAtan() {
  OpDefinition op = functionDefinition<Function>("Atan", gradient);
  op.first_opset = 7;
  return op;
}

}  // namespace simaqat::ops
