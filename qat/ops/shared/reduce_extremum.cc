#include "qat/ops/shared/reduce_extremum.h"

#include "qat/ops/shared/gradient_nodes.h"

namespace simaqat::ops {

void reduceExtremumGradient(GradientContext& c) {
  Value* x = c.input(0);
  Value* dy = c.outputGradient();
  Value* is_extremum = c.add("Equal", {x, expandReduced(c, c.output())});
  Value* count =
      c.add("ReduceSum", {castLike(c, is_extremum, x), c.input(1)}, c.node.rawAttributes().clone());
  Value* share = expandReduced(c, c.add("Div", {dy, count}));
  c.setInputGradient(0, c.add("Where", {is_extremum, share, c.scalar(0, dy)}));
}

}  // namespace simaqat::ops
