#include "qat/ops/shared/cross_entropy.h"

namespace simaqat::ops {
namespace {

// The scores' gradient, from inputs (dloss, scores, labels, weights), weights optional:
//   dx = dloss * weight[label] * (softmax(scores) - [class = label]) / total,
// where total is the labels' weights for reduction "mean" and 1 for others.
enum Input { kLossGradient, kScores, kLabels, kWeights };

void infer(InferContext& c) { c.setOutput(0, c.input(kScores).element, c.input(kScores).shape); }

template <class T>
void run(const EvalContext& c, bool fast) {
  const CrossEntropyShape s(c.in(kScores).dims);
  T* dx = c.out().data<T>();
  // Logarithms first, that are made gradients where they stand.
  logSoftmax(c.in(kScores).data<T>(), s, dx, fast, c.pool);

  const std::string& reduction = c.node.attributes<CrossEntropyAttributes>().reduction;
  const LabelReader<T> reader(c, s.classes, c.in(kLabels),
                              c.hasIn(kWeights) ? c.in(kWeights).data<T>() : nullptr);
  const T total = reduction == "mean" ? reader.totalWeight() : T{1};
  const T* dloss = c.in(kLossGradient).data<T>();
  const bool each = reduction == "none";
  const int64_t grain = std::max<int64_t>(1, 1024 / s.classes);
  c.pool.runRanges(s.outer * s.inner, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t label = reader.label(i);
      const T factor = label < 0 ? T{0} : dloss[each ? i : 0] * reader.weight(label) / total;
      T* at = dx + i / s.inner * s.classes * s.inner + i % s.inner;
      for (int64_t k = 0; k < s.classes; ++k, at += s.inner) {
        *at = label < 0 ? T{0} : factor * (std::exp(*at) - (k == label ? T{1} : T{0}));
      }
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
