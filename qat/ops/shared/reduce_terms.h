// The definition all Reduce operators begin with, and the evaluation of those that are a function
// of a sum of terms: y = finish(sum of term(x)).
#pragma once

#include "qat/ops/shared/reduction.h"

namespace simaqat::ops {

// Function has both as static templates; terms are added in double, or in int64 for integers.
template <class Function>
void evaluateTerms(const EvalContext& c) {
  visitNumber(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    using Wide = std::conditional_t<std::is_floating_point_v<T>, double, int64_t>;
    const T* x = c.in(0).data<T>();
    T* y = c.out().data<T>();
    forEachReduced(c, [=](const ReduceWalk& walk, int64_t output) {
      Wide sum = 0;
      walk.forEach(output, [&](int64_t i) { sum += Function::term(static_cast<Wide>(x[i])); });
      y[output] = static_cast<T>(Function::finish(sum));
    });
  });
}

inline OpDefinition reduceDefinition(const char* name, EvalFunction evaluate,
                                     GradientRule gradient) {
  OpDefinition op;
  op.name = name;
  op.max_inputs = 2;
  op.make_attributes = &makeAttributes<ReduceAttributes>;
  op.infer = inferReduce;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kComputes;
  op.upgrade = upgradeReduce;
  op.downgrade = downgradeReduce;
  op.examples = reduceExamples;
  return op;
}

}  // namespace simaqat::ops
