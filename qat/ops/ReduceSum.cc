#include "kernels/reduce.h"
#include "qat/ops/shared/reduce_terms.h"

namespace simaqat::ops {
namespace {

void evaluate(const EvalContext& c) {
  visitNumber(c, c.out().type, [&](auto tag) { reduceSum<decltype(tag)>(c, 1); });
}

void kernel(const EvalContext& c) {
  const auto form = ReduceWalk(c).channelForm();
  if (!form) return evaluate(c);
  kernels::channelSum(c.in(0).data<float>(), form->outer, form->channels, form->inner,
                      c.out().data<float>(), c.pool);
}

void gradient(GradientContext& c) { c.setInputGradient(0, expandReduced(c, c.outputGradient())); }

}  // namespace

OpDefinition defineReduceSum() {
  OpDefinition op = reduceDefinition("ReduceSum", evaluate, gradient);
  op.kernel = kernel;
  return op;
}

}  // namespace simaqat::ops
