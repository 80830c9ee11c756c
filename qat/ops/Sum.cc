#include "qat/ops/shared/variadic.h"

namespace simaqat::ops {
namespace {

void evaluate(const EvalContext& c) {
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    foldInputs<T>(c, [](T a, T b) { return a + b; });
  });
}

void gradient(GradientContext& c) {
  for (size_t i = 0; i < c.node.inputCount(); ++i) {
    if (c.wants(i)) c.setInputGradient(i, c.sumTo(c.outputGradient(), c.input(i)));
  }
}

}  // namespace

OpDefinition defineSum() { return variadicDefinition("Sum", evaluate, gradient); }

}  // namespace simaqat::ops
