#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/unary_kernel.h"

namespace simaqat::ops {
namespace {

struct Function {
  template <class T>
  T operator()(T x) const {
    return std::tanh(x);
  }
  template <class In, class Out>
  static void apply(const In& x, Out& y) {
    y = x.tanh();
  }
};

// dx = dy (1 - y y)
void gradient(GradientContext& c) {
  Value* square = c.add("Mul", {c.output(), c.output()});
  Value* slope = c.add("Sub", {c.scalar(1, square), square});
  c.setInputGradient(0, gradientTimes(c, c.outputGradient(), slope));
}

}  // namespace

OpDefinition defineTanh() {
  OpDefinition op = functionDefinition<Function>("Tanh", gradient);
  op.kernel = unaryKernel<Function>;
  op.pointwise.block = unaryKernelBlock<Function>;
  op.first_opset = 6;
  return op;
}

}  // namespace simaqat::ops
