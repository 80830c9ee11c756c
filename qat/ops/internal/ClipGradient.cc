#include <limits>

#include "qat/ops/shared/broadcast.h"

namespace simaqat::ops {
namespace {

// dx = min < y < max ? dy : 0, from inputs (dy, y, min, max); a bound may be absent.
void evaluate(const EvalContext& c) {
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T infinity = std::numeric_limits<T>::infinity();
    const T lo = c.hasIn(2) ? c.in(2).data<T>()[0] : -infinity;
    const T hi = c.hasIn(3) ? c.in(3).data<T>()[0] : infinity;
    mapBinary<T, T>(c, [=](T dy, T y) { return (y > lo) & (y < hi) ? dy : T{0}; });
  });
}

}  // namespace

OpDefinition defineClipGradient() {
  OpDefinition op;
  op.name = "ClipGradient";
  op.domain = "simaqat";
  op.min_inputs = 2;
  op.max_inputs = 4;
  op.infer = inferBroadcast;
  op.evaluate = evaluate;
  op.gradient_is_error = true;
  op.in_place = {{0, 0}};
  return op;
}

}  // namespace simaqat::ops
