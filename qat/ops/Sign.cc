#include "qat/ops/shared/unary.h"

namespace simaqat::ops {
namespace {

struct Function {
  template <class T>
  T operator()(T x) const {
    if constexpr (std::is_floating_point_v<T>) {
      if (x != x) return x;
    }
    return static_cast<T>((x > T{0}) - (x < T{0}));
  }
};

}  // namespace

OpDefinition defineSign() {
  OpDefinition op = unaryDefinition("Sign", evaluateUnaryNumber<Function>, nullptr);
  op.first_opset = 9;
  return op;
}

}  // namespace simaqat::ops
