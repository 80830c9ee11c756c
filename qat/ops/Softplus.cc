#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/unary.h"

namespace simaqat::ops {
namespace {

struct Function {
  template <class T>
  T operator()(T x) const {
    // Written so that the exponential does not overflow.
    return (x > T{0} ? x : T{0}) + std::log1p(std::exp(-std::abs(x)));
  }
};

// dx = dy sigmoid(x)
void gradient(GradientContext& c) {
  c.setInputGradient(0, gradientTimes(c, c.outputGradient(), c.add("Sigmoid", {c.input(0)})));
}

}  // namespace

OpDefinition defineSoftplus() {
  return functionDefinition<Function>("Softplus", gradient);
}

}  // namespace simaqat::ops
