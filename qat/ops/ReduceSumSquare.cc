#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/reduce_terms.h"

namespace simaqat::ops {
namespace {

struct Squares {
  template <class T>
  static T term(T x) {
    return x * x;
  }
  template <class T>
  static T finish(T sum) {
    return sum;
  }
};

void gradient(GradientContext& c) {
  Value* twice = c.add("Mul", {c.outputGradient(), c.scalar(2, c.output())});
  c.setInputGradient(0, gradientTimes(c, expandReduced(c, twice), c.input(0)));
}

}  // namespace

OpDefinition defineReduceSumSquare() {
  return reduceDefinition("ReduceSumSquare", evaluateTerms<Squares>, gradient);
}

}  // namespace simaqat::ops
