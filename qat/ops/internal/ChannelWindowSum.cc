#include "qat/ops/shared/channel_window.h"

namespace simaqat::ops {
namespace {

// y[n, c, ...] is the sum of x[n, k, ...] over the channels k in the window of c.
void evaluate(const EvalContext& c) {
  const auto& window = c.node.attributes<ChannelWindow>();
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    forEachLine(c, {c.node, 1, c.in(0).dims}, [&](int64_t first, int64_t size, int64_t stride) {
      const T* x = c.in(0).data<T>() + first;
      T* y = c.out().data<T>() + first;
      for (int64_t k = 0; k < size; ++k) {
        y[k * stride] = static_cast<T>(window.sum(x, k, size, stride, [](double v) { return v; }));
      }
    });
  });
}

}  // namespace

OpDefinition defineChannelWindowSum() {
  OpDefinition op;
  op.name = "ChannelWindowSum";
  op.domain = "simaqat";
  op.make_attributes = &makeAttributes<ChannelWindow>;
  op.infer = inferSameAsInput;
  op.evaluate = evaluate;
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
