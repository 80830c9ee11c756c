#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/unary.h"

namespace simaqat::ops {
namespace {

struct Function {
  template <class T>
  T operator()(T x) const {
    return std::cos(x);
  }
};

// dx = -dy sin(x)
void gradient(GradientContext& c) {
  Value* slope = c.add("Neg", {c.add("Sin", {c.input(0)})});
  c.setInputGradient(0, gradientTimes(c, c.outputGradient(), slope));
}

}  // namespace

OpDefinition defineCos() {
  OpDefinition op = functionDefinition<Function>("Cos", gradient);
  op.first_opset = 7;
  return op;
}

}  // namespace simaqat::ops
