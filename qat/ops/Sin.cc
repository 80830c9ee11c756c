#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/unary.h"

namespace simaqat::ops {
namespace {

struct Function {
  template <class T>
  T operator()(T x) const {
    return std::sin(x);
  }
};

// dx = dy cos(x)
void gradient(GradientContext& c) {
  c.setInputGradient(0, gradientTimes(c, c.outputGradient(), c.add("Cos", {c.input(0)})));
}

}  // namespace

OpDefinition defineSin() {
  OpDefinition op = functionDefinition<Function>("Sin", gradient);
  op.first_opset = 7;
  return op;
}

}  // namespace simaqat::ops
