// What Min and Max share.
#pragma once

#include <limits>

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
  OpDefinition op;
  op.name = name;
  op.first_opset = 6;
  op.max_inputs = std::numeric_limits<size_t>::max();
  op.infer = inferVariadic;
  op.evaluate = evaluateExtremum<Pick>;
  op.gradient = extremumGradient;
  // Later inputs are read when the output holds what the first ones gave.
  op.in_place = {{0, 0}};
  op.quantization.output = OutputQuantization::kComputes;
  op.examples = extremumExamples;
  return op;
}

}  // namespace simaqat::ops
