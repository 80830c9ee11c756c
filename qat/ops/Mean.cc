#include "qat/ops/shared/variadic.h"

namespace simaqat::ops {
namespace {

void evaluate(const EvalContext& c) {
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    foldInputs<T>(c, [](T a, T b) { return a + b; });
    T* y = c.out().data<T>();
    const auto count = static_cast<T>(c.inputs.size());
    c.pool.runRanges(c.out().size, kElementwiseGrain, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) y[i] /= count;
    });
  });
}

void gradient(GradientContext& c) {
  Value* dy = c.outputGradient();
  const double count = static_cast<double>(c.node.inputCount());
  Value* share = c.add("Mul", {dy, c.scalar(1 / count, dy)});
  for (size_t i = 0; i < c.node.inputCount(); ++i) {
    if (c.wants(i)) c.setInputGradient(i, c.sumTo(share, c.input(i)));
  }
}

}  // namespace

OpDefinition defineMean() { return variadicDefinition("Mean", evaluate, gradient); }

}  // namespace simaqat::ops
