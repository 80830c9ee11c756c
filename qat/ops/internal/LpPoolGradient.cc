#include <cmath>

#include "qat/ops/shared/lp_pool.h"

namespace simaqat::ops {
namespace {

// dx of LpPool, from inputs (dy, x, y): dx = sum over windows of dy * sign(x) * (|x| / y)^(p - 1).

void infer(InferContext& c) { c.setOutput(0, c.input(1).element, c.input(1).shape); }

void evaluate(const EvalContext& c) {
  const auto& attributes = c.node.attributes<LpPoolAttributes>();
  const kernels::PoolShape shape = poolShape(c.node, attributes, c.in(1).dims);
  const auto power = static_cast<double>(attributes.p - 1);
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* dy = c.in(0).data<T>();
    const T* x = c.in(1).data<T>();
    const T* y = c.in(2).data<T>();
    T* dx = c.out().data<T>();
    std::fill(dx, dx + c.out().size, T{0});
    forEachWindow(shape, [&](const PoolIndex& window, int64_t from, int64_t plane) {
      forEachTap(shape, window, [&](int64_t i) {
        const auto value = static_cast<double>(x[plane + i]);
        if (value == 0) return;
        const double share = std::pow(std::fabs(value) / static_cast<double>(y[from]), power);
        dx[plane + i] += dy[from] * static_cast<T>(std::copysign(share, value));
      });
    });
  });
}

}  // namespace

OpDefinition defineLpPoolGradient() {
  OpDefinition op;
  op.name = "LpPoolGradient";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 3;
  op.make_attributes = &makeAttributes<LpPoolAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
