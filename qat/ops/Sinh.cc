#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/unary.h"

namespace simaqat::ops {
namespace {

struct Function {
  template <class T>
  T operator()(T x) const {
    return std::sinh(x);
  }
};

// dx = dy cosh(x)
void gradient(GradientContext& c) {
  c.setInputGradient(0, gradientTimes(c, c.outputGradient(), c.add("Cosh", {c.input(0)})));
}

}  // namespace

OpDefinition defineSinh() {
  OpDefinition op = functionDefinition<Function>("Sinh", gradient);
  op.first_opset = 9;
  return op;
}

}  // namespace simaqat::ops
