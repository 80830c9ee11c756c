// Operators of any number of inputs that broadcast to one shape.
#pragma once

#include "qat/ops/shared/broadcast.h"

namespace simaqat::ops {

// The shape rule: the broadcast of all inputs, their element type.
void inferVariadic(InferContext& c);

// out = f(...f(f(in0, in1), in2)..., inN); with one input, f(in0, in0).
template <class T, class F>
void foldInputs(const EvalContext& c, F f) {
  TensorView left = c.in(0);
  for (size_t i = c.inputs.size() > 1 ? 1 : 0; i < c.inputs.size(); ++i) {
    const std::array<TensorView, 2> operands = {left, c.in(i)};
    mapBinary<T, T>(EvalContext{c.node, {operands.data(), 2}, c.outputs, nullptr, c.pool}, f);
    left = c.out();
  }
}

}  // namespace simaqat::ops
