#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/reduction.h"

namespace simaqat::ops {
namespace {

void evaluate(const EvalContext& c) {
  visitElementType(c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* x = c.in(0).data<T>();
    T* y = c.out().data<T>();
    forEachReduced(c, [&](const ReduceWalk& walk, int64_t output) {
      if (walk.reducedCount() == 0) c.node.fail("the largest of no elements");
      bool first = true;
      walk.forEach(output, [&](int64_t i) {
        // The comparison lets a NaN in, and never out again.
        if (first || (y[output] == y[output] && !(x[i] <= y[output]))) y[output] = x[i];
        first = false;
      });
    });
  });
}

// Those that are largest share the gradient evenly.
void gradient(GradientContext& c) {
  Value* x = c.input(0);
  Value* dy = c.outputGradient();
  Value* is_largest = c.add("Equal", {x, expandReduced(c, c.output())});
  Value* count =
      c.add("ReduceSum", {castLike(c, is_largest, x), c.input(1)}, c.node.rawAttributes().clone());
  Value* share = expandReduced(c, c.add("Div", {dy, count}));
  c.setInputGradient(0, c.add("Where", {is_largest, share, c.scalar(0, dy)}));
}

}  // namespace

OpDefinition defineReduceMax() {
  OpDefinition op;
  op.name = "ReduceMax";
  op.max_inputs = 2;
  op.make_attributes = &makeAttributes<ReduceAttributes>;
  op.infer = inferReduce;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kShares;
  op.upgrade = upgradeReduce;
  op.downgrade = downgradeReduce;
  op.examples = reduceExamples;
  return op;
}

}  // namespace simaqat::ops
