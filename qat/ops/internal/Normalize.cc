#include <algorithm>

#include "qat/ops/shared/broadcast.h"

namespace simaqat::ops {
namespace {

// y = (x - center) * factor + offset, of inputs (x, center, factor, offset): BatchNormalization
// with its statistics known, rounded as Sub, Mul and Add would.

void infer(InferContext& c) {
  const Shape* shape = c.shape(0);
  std::optional<Shape> y = shape == nullptr ? std::nullopt : std::optional<Shape>(*shape);
  for (size_t i = 1; i < 4; ++i) y = broadcastShapes(c.node, y ? &*y : nullptr, c.shape(i));
  c.setOutput(0, c.input(0).element, std::move(y));
}

void evaluate(const EvalContext& c) {
  const BroadcastWalk<4> walk(c.node, c.out().dims, {c.in(0), c.in(1), c.in(2), c.in(3)});
  const int64_t inner = walk.inner();
  if (c.out().size == 0) return;
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    c.pool.runRanges(walk.outer(), std::max<int64_t>(1, kElementwiseGrain / inner),
                     [&](int64_t begin, int64_t end) {
                       for (int64_t row = begin; row < end; ++row) {
                         const auto at = walk.offsets(row);
                         const auto element = [&](size_t k, int64_t i) {
                           return c.in(k).template data<T>()[at[k] + i * walk.strides[k][0]];
                         };
                         T* y = c.out().data<T>() + row * inner;
                         for (int64_t i = 0; i < inner; ++i) {
                           y[i] = (element(0, i) - element(1, i)) * element(2, i) + element(3, i);
                         }
                       }
                     });
  });
}

void block(const Node&, const float* const* in, float* out, int64_t n) {
  const float *x = in[0], *center = in[1], *factor = in[2], *offset = in[3];
  for (int64_t i = 0; i < n; ++i) out[i] = (x[i] - center[i]) * factor[i] + offset[i];
}

}  // namespace

OpDefinition defineNormalize() {
  OpDefinition op;
  op.name = "Normalize";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 4;
  op.infer = infer;
  op.evaluate = evaluate;
  op.pointwise = {block, nullptr, true};
  op.in_place = {{0, 0}};
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
