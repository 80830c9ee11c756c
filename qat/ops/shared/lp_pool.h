// What LpPool, GlobalLpPool and their gradient share: y = (sum of |x|^p over the window)^(1/p).
#pragma once

#include "qat/ops/shared/pooling.h"

namespace simaqat::ops {

struct LpPoolAttributes : PoolAttributes {
  int64_t p = 2;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    PoolAttributes::fields(self, visit);
    visit("p", self.p);
  }
};

void evaluateLpPool(const EvalContext& c, const LpPoolAttributes& attributes);

}  // namespace simaqat::ops
