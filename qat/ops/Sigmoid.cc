#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/unary_kernel.h"

namespace simaqat::ops {
namespace {

struct Function {
  template <class T>
  T operator()(T x) const {
    return T{1} / (T{1} + std::exp(-x));
  }
  template <class In, class Out>
  static void apply(const In& x, Out& y) {
    y = (1.0f + (-x).exp()).inverse();
  }
};

// dx = dy y (1 - y)
void gradient(GradientContext& c) {
  Value* y = c.output();
  Value* slope = c.add("Mul", {y, c.add("Sub", {c.scalar(1, y), y})});
  c.setInputGradient(0, gradientTimes(c, c.outputGradient(), slope));
}

}  // namespace

OpDefinition defineSigmoid() {
  OpDefinition op = functionDefinition<Function>("Sigmoid", gradient);
  op.kernel = unaryKernel<Function>;
  op.pointwise.block = unaryKernelBlock<Function>;
  op.first_opset = 6;
  op.quantization.fixed_range = 1;
  return op;
}

}  // namespace simaqat::ops
