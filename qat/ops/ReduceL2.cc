#include <cmath>

#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/reduce_terms.h"

namespace simaqat::ops {
namespace {

struct Norm {
  template <class T>
  static T term(T x) {
    return x * x;
  }
  template <class T>
  static double finish(T sum) {
    return std::sqrt(static_cast<double>(sum));
  }
};

// dx = dy x / y; a norm of zero, where there is no derivative, gets the gradient zero.
void gradient(GradientContext& c) {
  Value* norm = c.add("Max", {c.output(), c.scalar(1e-30, c.output())});
  Value* slope = expandReduced(c, gradientOver(c, c.outputGradient(), norm));
  c.setInputGradient(0, gradientTimes(c, slope, c.input(0)));
}

}  // namespace

OpDefinition defineReduceL2() {
  return reduceDefinition("ReduceL2", evaluateTerms<Norm>, gradient);
}

}  // namespace simaqat::ops
