#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/unary.h"

namespace simaqat::ops {
namespace {

struct Function {
  template <class T>
  T operator()(T x) const {
    return std::tan(x);
  }
};

// dx = dy (1 + y^2)
void gradient(GradientContext& c) {
  Value* square = c.add("Mul", {c.output(), c.output()});
  Value* slope = c.add("Add", {square, c.scalar(1, c.output())});
  c.setInputGradient(0, gradientTimes(c, c.outputGradient(), slope));
}

}  // namespace

OpDefinition defineTan() {
  OpDefinition op = functionDefinition<Function>("Tan", gradient);
  op.first_opset = 7;
  return op;
}

}  // namespace simaqat::ops
