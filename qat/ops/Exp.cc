#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/unary_kernel.h"

namespace simaqat::ops {
namespace {

struct Function {
  template <class T>
  T operator()(T x) const {
    return std::exp(x);
  }
  template <class In, class Out>
  static void apply(const In& x, Out& y) {
    y = x.exp();
  }
};

// dx = dy y
void gradient(GradientContext& c) {
  c.setInputGradient(0, gradientTimes(c, c.outputGradient(), c.output()));
}

}  // namespace

OpDefinition defineExp() {
  OpDefinition op = functionDefinition<Function>("Exp", gradient);
  op.kernel = unaryKernel<Function>;
  op.pointwise.block = unaryKernelBlock<Function>;
  return op;
}

}  // namespace simaqat::ops
