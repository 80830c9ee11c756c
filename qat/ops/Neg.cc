#include "qat/ops/shared/unary.h"

namespace simaqat::ops {
namespace {

struct Function {
  template <class T>
  T operator()(T x) const {
    return static_cast<T>(-x);
  }
};

void gradient(GradientContext& c) { c.setInputGradient(0, c.add("Neg", {c.outputGradient()})); }

}  // namespace

OpDefinition defineNeg() {
  OpDefinition op = unaryDefinition("Neg", evaluateUnaryNumber<Function>, gradient);
  op.first_opset = 6;
  op.pointwise.block = functionBlock<Function>;
  return op;
}

}  // namespace simaqat::ops
