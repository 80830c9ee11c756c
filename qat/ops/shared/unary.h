// Elementwise functions of one input.
//
// A function is a struct whose operator() is a template over the element type. One that has
// attributes takes the node in its constructor; one whose derivative an operator of its own
// computes has gradient(dy, x).
#pragma once

#include <cmath>

#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/examples.h"

namespace simaqat::ops {

template <class Function>
Function makeFunction([[maybe_unused]] const Node& node) {
  if constexpr (std::is_constructible_v<Function, const Node&>) {
    return Function(node);
  } else {
    return Function{};
  }
}

template <class Function>
void evaluateUnary(const EvalContext& c) {
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    mapUnary<T, T>(c, [f = makeFunction<Function>(c.node)](T x) { return static_cast<T>(f(x)); });
  });
}

template <class Function>
void functionBlock([[maybe_unused]] const Node& node, const float* const* in, float* out,
                   int64_t n) {
  const auto f = makeFunction<Function>(node);
  for (int64_t i = 0; i < n; ++i) out[i] = f(in[0][i]);
}
template <class Function>
void functionGradientBlock([[maybe_unused]] const Node& node, const float* const* in, float* out,
                           int64_t n) {
  const auto f = makeFunction<Function>(node);
  for (int64_t i = 0; i < n; ++i) out[i] = orZero(in[0][i], static_cast<float>(f.gradient(in[0][i], in[1][i])));
}

// For functions that integers have, too.
template <class Function>
void evaluateUnaryNumber(const EvalContext& c) {
  visitNumber(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    mapUnary<T, T>(c, [](T x) { return static_cast<T>(Function{}(x)); });
  });
}

inline OpDefinition unaryDefinition(const char* name, EvalFunction evaluate,
                                    GradientRule gradient) {
  OpDefinition op;
  op.name = name;
  op.infer = inferSameAsInput;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.in_place = {{0, 0}};
  op.quantization.output = OutputQuantization::kComputes;
  op.examples = [] { return std::vector<OpExample>{{"", {}, {exampleTensor({2, 3, 4})}}}; };
  return op;
}

template <class Function>
OpDefinition functionDefinition(const char* name, GradientRule gradient) {
  OpDefinition op = unaryDefinition(name, evaluateUnary<Function>, gradient);
  op.pointwise.block = functionBlock<Function>;
  return op;
}

// The gradient rule of a function with an operator for its gradient, which gets its attributes.
inline void functionGradient(GradientContext& c) {
  c.setInputGradient(0, c.add("simaqat::" + c.node.op().name + "Gradient",
                              {c.outputGradient(), c.input(0)}, c.node.rawAttributes().clone()));
}

// The internal operator functionGradient adds: dx from inputs (dy, x).
template <class Function>
void evaluateFunctionGradient(const EvalContext& c) {
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    mapBinary<T, T>(c, [f = makeFunction<Function>(c.node)](T dy, T x) {
      return orZero(dy, static_cast<T>(f.gradient(dy, x)));
    });
  });
}

template <class Function>
OpDefinition functionGradientDefinition(const char* name) {
  OpDefinition op;
  op.name = name;
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 2;
  op.infer = inferBroadcast;
  op.evaluate = evaluateFunctionGradient<Function>;
  op.pointwise.block = functionGradientBlock<Function>;
  op.gradient_is_error = true;
  op.in_place = {{0, 0}, {1, 0}};
  return op;
}

}  // namespace simaqat::ops
