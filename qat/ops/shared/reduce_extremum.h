// What ReduceMin and ReduceMax share.
#pragma once

#include "qat/ops/shared/reduction.h"

namespace simaqat::ops {

// Those that are the extremum share the gradient evenly.
void reduceExtremumGradient(GradientContext& c);

// `Pick` has goesBefore(a, b) for numbers, and ofNone<T>(), the extremum of no elements, behind
// which goes none. A NaN gets in, and never out again.
template <class Pick>
void evaluateReduceExtremum(const EvalContext& c) {
  visitElementType(c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* x = c.in(0).data<T>();
    T* y = c.out().data<T>();
    forEachReduced(c, [&](const ReduceWalk& walk, int64_t output) {
      y[output] = Pick::template ofNone<T>();
      walk.forEach(output, [&](int64_t i) {
        const bool is_nan = x[i] != x[i];
        if (y[output] == y[output] && (is_nan || Pick::goesBefore(x[i], y[output]))) {
          y[output] = x[i];
        }
      });
    });
  });
}

template <class Pick>
OpDefinition reduceExtremumDefinition(const char* name) {
  OpDefinition op;
  op.name = name;
  op.max_inputs = 2;
  op.make_attributes = &makeAttributes<ReduceAttributes>;
  op.infer = inferReduce;
  op.evaluate = evaluateReduceExtremum<Pick>;
  op.gradient = reduceExtremumGradient;
  op.quantization.output = OutputQuantization::kShares;
  op.upgrade = upgradeReduce;
  op.downgrade = downgradeReduce;
  op.examples = reduceExamples;
  return op;
}

}  // namespace simaqat::ops
