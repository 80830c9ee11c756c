#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/unary.h"

namespace simaqat::ops {
namespace {

struct Function {
  template <class T>
  T operator()(T x) const {
    return std::cosh(x);
  }
};

// dx = dy sinh(x)
void gradient(GradientContext& c) {
  c.setInputGradient(0, gradientTimes(c, c.outputGradient(), c.add("Sinh", {c.input(0)})));
}

}  // namespace

OpDefinition defineCosh() {
  OpDefinition op = functionDefinition<Function>("Cosh", gradient);
  op.first_opset = 9;
  return op;
}

}  // namespace simaqat::ops
