#include <cmath>
#include <limits>

#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/reduce_terms.h"

namespace simaqat::ops {
namespace {

// With the largest element taken out, so that no exponential overflows.
template <class T>
void logSumExp(const EvalContext& c) {
  const T* x = c.in(0).data<T>();
  T* y = c.out().data<T>();
  forEachReduced(c, [=](const ReduceWalk& walk, int64_t output) {
    double largest = -std::numeric_limits<double>::infinity();
    walk.forEach(output, [&](int64_t i) {
      const double value = static_cast<double>(x[i]);
      largest = value > largest || std::isnan(value) ? value : largest;
    });
    double sum = 0;
    walk.forEach(output, [&](int64_t i) { sum += std::exp(static_cast<double>(x[i]) - largest); });
    y[output] = static_cast<T>(std::isinf(largest) ? largest : largest + std::log(sum));
  });
}

void evaluate(const EvalContext& c) {
  visitNumber(c, c.out().type, [&](auto tag) { logSumExp<decltype(tag)>(c); });
}

// dx = dy exp(x - y)
void gradient(GradientContext& c) {
  Value* below = c.add("Sub", {c.input(0), expandReduced(c, c.output())});
  Value* share = c.add("Exp", {below});
  c.setInputGradient(0, gradientTimes(c, expandReduced(c, c.outputGradient()), share));
}

}  // namespace

OpDefinition defineReduceLogSumExp() {
  return reduceDefinition("ReduceLogSumExp", evaluate, gradient);
}

}  // namespace simaqat::ops
