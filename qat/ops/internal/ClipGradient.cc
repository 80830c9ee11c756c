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

void block(const Node&, const float* const* in, float* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const bool above = in[2] == nullptr || in[1][i] > in[2][i];
    const bool below = in[3] == nullptr || in[1][i] < in[3][i];
    out[i] = above & below ? in[0][i] : 0.0f;
  }
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
  op.pointwise.block = block;
  op.gradient_is_error = true;
  op.in_place = {{0, 0}};
  return op;
}

}  // namespace simaqat::ops
