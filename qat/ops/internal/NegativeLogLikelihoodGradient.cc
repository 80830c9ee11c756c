#include "qat/ops/shared/cross_entropy.h"

namespace simaqat::ops {
namespace {

// The gradient of the logarithms, from inputs (dloss, logarithms, labels, weights), weights
// optional: -dloss * weight[label] / total where the label stands, 0 elsewhere, where total is the
// labels' weights for reduction "mean" and 1 for others.
void infer(InferContext& c) {
  c.setOutput(0, c.input(1 + kScores).element, c.input(1 + kScores).shape);
}

void evaluate(const EvalContext& c) {
  const CrossEntropyShape s(c.out().dims);
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    T* dx = c.out().data<T>();
    forEachLabel<T>(c, s, [&](int64_t first, int64_t label, T factor) {
      for (int64_t k = 0; k < s.classes; ++k) {
        dx[first + k * s.inner] = k == label ? -factor : T{0};
      }
    });
  });
}

}  // namespace

OpDefinition defineNegativeLogLikelihoodGradient() {
  OpDefinition op;
  op.name = "NegativeLogLikelihoodGradient";
  op.domain = "simaqat";
  op.min_inputs = 3;
  op.max_inputs = 4;
  op.make_attributes = &makeAttributes<CrossEntropyAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
