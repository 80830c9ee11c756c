#include "qat/ops/shared/variadic.h"

namespace simaqat::ops {
namespace {

void evaluate(const EvalContext& c) {
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    foldInputs<T>(c, [](T a, T b) { return a + b; });
  });
}

void block(const Node& node, const float* const* in, float* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    float sum = in[0][i];
    for (size_t k = 1; k < node.inputCount(); ++k) sum += in[k][i];
    out[i] = sum;
  }
}

void gradient(GradientContext& c) {
  for (size_t i = 0; i < c.node.inputCount(); ++i) {
    if (c.wants(i)) c.setInputGradient(i, c.sumTo(c.outputGradient(), c.input(i)));
  }
}

}  // namespace

OpDefinition defineSum() {
  OpDefinition op = variadicDefinition("Sum", evaluate, gradient);
  op.pointwise.block = block;
  op.pointwise.applies = [](const Node& node) { return node.inputCount() <= 8; };
  return op;
}

}  // namespace simaqat::ops
