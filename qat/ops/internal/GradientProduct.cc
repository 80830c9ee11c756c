#include "qat/ops/shared/broadcast.h"

namespace simaqat::ops {
namespace {

// dy b from inputs (dy, b), and 0 where dy is 0, whatever b is.
struct Function {
  template <class T>
  T operator()(T dy, T b) const {
    return orZero(dy, dy * b);
  }
};

void evaluate(const EvalContext& c) {
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    mapBinary<T, T>(c, Function{});
  });
}

}  // namespace

OpDefinition defineGradientProduct() {
  OpDefinition op;
  op.name = "GradientProduct";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 2;
  op.infer = inferBroadcast;
  op.evaluate = evaluate;
  op.pointwise.block = binaryBlock<Function>;
  op.gradient_is_error = true;
  op.in_place = {{0, 0}, {1, 0}};
  return op;
}

}  // namespace simaqat::ops
