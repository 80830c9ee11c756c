// What Min and Max share.
#pragma once

#include "qat/ops/shared/variadic.h"

namespace simaqat::ops {

// Those that are the least, or the largest, share the gradient evenly.
void extremumGradient(GradientContext& c);
std::vector<OpExample> extremumExamples();

// `Pick` has choose(a, b) for any element type.
template <class Pick>
void evaluateExtremum(const EvalContext& c) {
  visitNumber(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    foldInputs<T>(c, [](T a, T b) { return Pick::choose(a, b); });
  });
}

template <class Pick>
OpDefinition extremumDefinition(const char* name) {
  OpDefinition op = variadicDefinition(name, evaluateExtremum<Pick>, extremumGradient);
  op.examples = extremumExamples;
  return op;
}

}  // namespace simaqat::ops
