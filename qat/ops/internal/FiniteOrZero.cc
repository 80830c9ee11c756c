#include <cmath>

#include "qat/ops/shared/broadcast.h"

namespace simaqat::ops {
namespace {

// x, and 0 in place of what is not finite: GradientContext::factor says where.
struct Function {
  template <class T>
  T operator()(T x) const {
    return std::isfinite(x) ? x : T{0};
  }
};

void evaluate(const EvalContext& c) {
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    mapUnary<T, T>(c, Function{});
  });
}

}  // namespace

OpDefinition defineFiniteOrZero() {
  OpDefinition op;
  op.name = "FiniteOrZero";
  op.domain = "simaqat";
  op.infer = inferSameAsInput;
  op.evaluate = evaluate;
  op.pointwise = {unaryBlock<Function>, nullptr, false};
  op.gradient_is_error = true;
  op.in_place = {{0, 0}};
  return op;
}

}  // namespace simaqat::ops
