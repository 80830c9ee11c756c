#include <limits>

#include "qat/ops/shared/broadcast.h"

namespace simaqat::ops {
namespace {

// dx = y > 0 ? dy : 0, from inputs (dy, y).
struct Function {
  template <class T>
  T operator()(T dy, T y) const {
    return y > T{0} ? dy : T{0};
  }
};

void evaluate(const EvalContext& c) {
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    mapBinary<T, T>(c, Function{});
  });
}

FloatRange passes(const Node&, const float* const*) {
  return {std::numeric_limits<float>::denorm_min(), std::numeric_limits<float>::infinity()};
}

}  // namespace

OpDefinition defineReluGradient() {
  OpDefinition op;
  op.name = "ReluGradient";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 2;
  op.infer = inferBroadcast;
  op.evaluate = evaluate;
  op.pointwise.block = binaryBlock<Function>;
  op.pointwise.passes = passes;
  op.gradient_is_error = true;
  op.in_place = {{0, 0}};
  return op;
}

}  // namespace simaqat::ops
