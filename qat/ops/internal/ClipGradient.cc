#include <algorithm>
#include <cmath>
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
  // out may be y: what it says is read before it is written.
  const float *dy = in[0], *y = in[1], *lo = in[2], *hi = in[3];
  if (lo != nullptr && hi != nullptr) {
    for (int64_t i = 0; i < n; ++i) out[i] = (y[i] > lo[i]) & (y[i] < hi[i]) ? dy[i] : 0.0f;
  } else if (lo != nullptr) {
    for (int64_t i = 0; i < n; ++i) out[i] = y[i] > lo[i] ? dy[i] : 0.0f;
  } else if (hi != nullptr) {
    for (int64_t i = 0; i < n; ++i) out[i] = y[i] < hi[i] ? dy[i] : 0.0f;
  } else {
    std::copy_n(dy, n, out);
  }
}

// The next float in the direction of `end`; NaN where there is none.
float next(float bound, float end) {
  return bound == end ? std::numeric_limits<float>::quiet_NaN() : std::nextafter(bound, end);
}

FloatRange passes(const Node&, const float* const* in) {
  const float infinity = std::numeric_limits<float>::infinity();
  return {in[2] == nullptr ? -infinity : next(*in[2], infinity),
          in[3] == nullptr ? infinity : next(*in[3], -infinity)};
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
  op.pointwise.passes = passes;
  op.gradient_is_error = true;
  op.in_place = {{0, 0}};
  return op;
}

}  // namespace simaqat::ops
