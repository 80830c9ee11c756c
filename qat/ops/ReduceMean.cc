#include "kernels/reduce.h"
#include "qat/ops/shared/reduce_terms.h"

namespace simaqat::ops {
namespace {

void evaluate(const EvalContext& c) {
  const int64_t count = ReduceWalk(c).reducedCount();
  visitFloat(c, c.out().type, [&](auto tag) { reduceSum<decltype(tag)>(c, count); });
}

void kernel(const EvalContext& c) {
  const ReduceWalk walk(c);
  const auto form = walk.channelForm();
  if (!form) return evaluate(c);
  float* y = c.out().data<float>();
  kernels::channelSum(c.in(0).data<float>(), form->outer, form->channels, form->inner, y, c.pool);
  const auto count = static_cast<float>(walk.reducedCount());
  for (int64_t i = 0; i < c.out().size; ++i) y[i] /= count;
}

void gradient(GradientContext& c) {
  const Value* x = c.input(0);
  const double share = static_cast<double>(c.output()->type.size()) /
                       static_cast<double>(std::max<int64_t>(1, x->type.size()));
  c.setInputGradient(0, expandReduced(c, c.add("Mul", {c.outputGradient(), c.scalar(share, x)})));
}

}  // namespace

OpDefinition defineReduceMean() {
  OpDefinition op = reduceDefinition("ReduceMean", evaluate, gradient);
  op.kernel = kernel;
  return op;
}

}  // namespace simaqat::ops
