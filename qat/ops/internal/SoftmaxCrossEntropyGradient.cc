#include "qat/ops/shared/cross_entropy.h"

namespace simaqat::ops {
namespace {

// The scores' gradient, from inputs (dloss, scores, labels, weights), weights optional:
//   dx = dloss * weight[label] * (softmax(scores) - [class = label]) / total,
// where total is the labels' weights for reduction "mean" and 1 for others.
void infer(InferContext& c) {
  c.setOutput(0, c.input(1 + kScores).element, c.input(1 + kScores).shape);
}

template <class T>
void run(const EvalContext& c, bool fast) {
  const TensorView& scores = c.in(1 + kScores);
  const CrossEntropyShape s(scores.dims);
  T* dx = c.out().data<T>();
  // Logarithms first, that are made gradients where they stand.
  logSoftmax(scores.data<T>(), s, dx, fast, c.pool);
  forEachLabel<T>(c, s, [&](int64_t first, int64_t label, T factor) {
    T* at = dx + first;
    for (int64_t k = 0; k < s.classes; ++k, at += s.inner) {
      *at = label < 0 ? T{0} : factor * (std::exp(*at) - (k == label ? T{1} : T{0}));
    }
  });
}

void evaluate(const EvalContext& c) {
  visitFloat(c, c.out().type, [&](auto tag) { run<decltype(tag)>(c, false); });
}

void kernel(const EvalContext& c) { run<float>(c, true); }

}  // namespace

OpDefinition defineSoftmaxCrossEntropyGradient() {
  OpDefinition op;
  op.name = "SoftmaxCrossEntropyGradient";
  op.domain = "simaqat";
  op.min_inputs = 3;
  op.max_inputs = 4;
  op.make_attributes = &makeAttributes<CrossEntropyAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
