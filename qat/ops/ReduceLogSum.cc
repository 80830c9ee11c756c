#include <cmath>

#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/reduce_terms.h"

namespace simaqat::ops {
namespace {

struct LogOfSum {
  template <class T>
  static T term(T x) {
    return x;
  }
  template <class T>
  static double finish(T sum) {
    return std::log(static_cast<double>(sum));
  }
};

// dx = dy / the sum, which is exp(y).
void gradient(GradientContext& c) {
  Value* sum = c.add("Exp", {c.output()});
  c.setInputGradient(0, expandReduced(c, gradientOver(c, c.outputGradient(), sum)));
}

std::vector<OpExample> examples() {
  const Tensor axes = Tensor::of<int64_t>({1}, {1});
  return {
      {"all", {}, {exampleTensor({2, 3, 4}, 1, 0.5, 2)}},
      {"one axis", {{"keepdims", int64_t{0}}}, {exampleTensor({2, 3, 4}, 1, 0.5, 2), axes}},
  };
}

}  // namespace

OpDefinition defineReduceLogSum() {
  OpDefinition op = reduceDefinition("ReduceLogSum", evaluateTerms<LogOfSum>, gradient);
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
