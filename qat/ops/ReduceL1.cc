#include <cmath>

#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/reduce_terms.h"

namespace simaqat::ops {
namespace {

struct Magnitudes {
  template <class T>
  static T term(T x) {
    return std::abs(x);
  }
  template <class T>
  static T finish(T sum) {
    return sum;
  }
};

void gradient(GradientContext& c) {
  Value* sign = c.add("Sign", {c.input(0)});
  c.setInputGradient(0, gradientTimes(c, expandReduced(c, c.outputGradient()), sign));
}

}  // namespace

OpDefinition defineReduceL1() {
  return reduceDefinition("ReduceL1", evaluateTerms<Magnitudes>, gradient);
}

}  // namespace simaqat::ops
