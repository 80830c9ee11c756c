#include "qat/ops/shared/lp_pool.h"

#include <cmath>

namespace simaqat::ops {

void evaluateLpPool(const EvalContext& c, const LpPoolAttributes& attributes) {
  if (attributes.p < 1) c.node.fail("attribute 'p': {} is not valid", attributes.p);
  const kernels::PoolShape shape = poolShape(c.node, attributes, c.in(0).dims);
  const auto p = static_cast<double>(attributes.p);
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* x = c.in(0).data<T>();
    T* y = c.out().data<T>();
    forEachWindow(shape, [&](const PoolIndex& window, int64_t to, int64_t plane) {
      double sum = 0;
      forEachTap(shape, window, [&](int64_t i) {
        sum += std::pow(std::fabs(static_cast<double>(x[plane + i])), p);
      });
      y[to] = static_cast<T>(std::pow(sum, 1 / p));
    });
  });
}

}  // namespace simaqat::ops
