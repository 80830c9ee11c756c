#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/unary.h"

namespace simaqat::ops {
namespace {

struct Function {
  template <class T>
  T operator()(T x) const {
    return x / (T{1} + std::abs(x));
  }
};

// dx = dy / (1 + |x|)^2
void gradient(GradientContext& c) {
  Value* magnitude = c.add("Abs", {c.input(0)});
  Value* root = c.add("Add", {magnitude, c.scalar(1, c.input(0))});
  // Two divisions: the square would overflow first.
  c.setInputGradient(0, gradientOver(c, gradientOver(c, c.outputGradient(), root), root));
}

}  // namespace

OpDefinition defineSoftsign() {
  return functionDefinition<Function>("Softsign", gradient);
}

}  // namespace simaqat::ops
