#include <unsupported/Eigen/SpecialFunctions>

#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/unary_kernel.h"

namespace simaqat::ops {
namespace {

struct Function {
  template <class T>
  T operator()(T x) const {
    return std::erf(x);
  }
  // Within 4e-7 of it.
  template <class In, class Out>
  static void apply(const In& x, Out& y) {
    y = x.erf();
  }
};

// dx = dy 2 / sqrt(pi) exp(-x x)
void gradient(GradientContext& c) {
  Value* x = c.input(0);
  Value* bell = c.add("Exp", {c.add("Neg", {c.add("Mul", {x, x})})});
  Value* slope = c.add("Mul", {bell, c.scalar(1.1283791670955126, x)});
  c.setInputGradient(0, gradientTimes(c, c.outputGradient(), slope));
}

}  // namespace

OpDefinition defineErf() {
  OpDefinition op = functionDefinition<Function>("Erf", gradient);
  op.kernel = unaryKernel<Function>;
  op.pointwise.block = unaryKernelBlock<Function>;
  op.first_opset = 9;
  return op;
}

}  // namespace simaqat::ops
