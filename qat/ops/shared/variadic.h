// Operators of any number of inputs that broadcast to one shape.
#pragma once

#include <limits>

#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/strided_copy.h"

namespace simaqat::ops {

// The shape rule: the broadcast of all inputs, their element type.
void inferVariadic(InferContext& c);
// Whether no input is broadcast.
bool sameShapes(const EvalContext& c);
// One input, two, three, and broadcast ones.
std::vector<OpExample> variadicExamples();

// One pass over memory, however many inputs there are.
template <class T, class F>
void foldSameShapes(const EvalContext& c, F f) {
  constexpr int64_t kGrain = 4096;
  c.pool.runRanges(c.out().size, kGrain, [&](int64_t begin, int64_t end) {
    T* y = c.out().data<T>();
    const T* a = c.in(0).data<T>();
    const T* b = c.in(1).data<T>();
    for (int64_t i = begin; i < end; ++i) y[i] = f(a[i], b[i]);
    for (size_t k = 2; k < c.inputs.size(); ++k) {
      const T* x = c.in(k).data<T>();
      for (int64_t i = begin; i < end; ++i) y[i] = f(y[i], x[i]);
    }
  });
}

// out = f(...f(f(in0, in1), in2)..., inN), or in0 where it is alone.
template <class T, class F>
void foldInputs(const EvalContext& c, F f) {
  if (c.inputs.size() == 1) return copyBytes(c);
  if (sameShapes(c)) return foldSameShapes<T>(c, f);
  TensorView left = c.in(0);
  for (size_t i = 1; i < c.inputs.size(); ++i) {
    const std::array<TensorView, 2> operands = {left, c.in(i)};
    mapBinary<T, T>(EvalContext{c.node, {operands.data(), 2}, c.outputs, nullptr, c.pool}, f);
    left = c.out();
  }
}

inline OpDefinition variadicDefinition(const char* name, EvalFunction evaluate,
                                       GradientRule gradient) {
  OpDefinition op;
  op.name = name;
  op.first_opset = 6;
  op.max_inputs = std::numeric_limits<size_t>::max();
  op.infer = inferVariadic;
  op.evaluate = evaluate;
  op.gradient = gradient;
  // Later inputs are read when the output holds what the first ones gave.
  op.in_place = {{0, 0}};
  op.quantization.output = OutputQuantization::kComputes;
  op.examples = variadicExamples;
  return op;
}

}  // namespace simaqat::ops
