#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/unary_kernel.h"

namespace simaqat::ops {
namespace {

struct Function {
  template <class T>
  T operator()(T x) const {
    return std::log(x);
  }
  template <class In, class Out>
  static void apply(const In& x, Out& y) {
    y = x.log();
  }
};

// dx = dy / x
void gradient(GradientContext& c) {
  c.setInputGradient(0, gradientOver(c, c.outputGradient(), c.input(0)));
}

std::vector<OpExample> examples() { return {{"", {}, {exampleTensor({2, 3, 4}, 1, 0.2, 3)}}}; }

}  // namespace

OpDefinition defineLog() {
  OpDefinition op = functionDefinition<Function>("Log", gradient);
  op.kernel = unaryKernel<Function>;
  op.pointwise.block = unaryKernelBlock<Function>;
  op.first_opset = 6;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
