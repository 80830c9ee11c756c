#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/unary.h"

namespace simaqat::ops {
namespace {

struct Function {
  template <class T>
  T operator()(T x) const {
    if constexpr (std::is_unsigned_v<T>) {
      return x;
    } else if constexpr (std::is_integral_v<T>) {
      // Unsigned, since the least number has no opposite.
      using Unsigned = std::make_unsigned_t<T>;
      return x < T{0} ? static_cast<T>(Unsigned{0} - static_cast<Unsigned>(x)) : x;
    } else {
      return std::abs(x);
    }
  }
};

// dx = dy sign(x)
void gradient(GradientContext& c) {
  c.setInputGradient(0, gradientTimes(c, c.outputGradient(), c.add("Sign", {c.input(0)})));
}

}  // namespace

OpDefinition defineAbs() {
  OpDefinition op = unaryDefinition("Abs", evaluateUnaryNumber<Function>, gradient);
  op.first_opset = 6;
  op.pointwise.block = functionBlock<Function>;
  return op;
}

}  // namespace simaqat::ops
