// What SoftmaxCrossEntropyLoss, NegativeLogLikelihoodLoss and their gradients share.
#pragma once

#include <cmath>

#include "kernels/softmax_cross_entropy.h"
#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/integers.h"

namespace simaqat::ops {

struct CrossEntropyAttributes {
  std::optional<int64_t> ignore_index;
  std::string reduction = "mean";

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("ignore_index", self.ignore_index);
    visit("reduction", self.reduction);
  }
};

// The losses' inputs; a gradient has that of the loss in front of them.
enum LossInput { kScores, kLabels, kWeights };

// The shape rule of output 0, the loss; checks all inputs.
void inferLabelLoss(InferContext& c);
// Examples of all reductions, weights and labels to ignore.
std::vector<OpExample> labelLossExamples();

// Scores seen as [outer, classes, inner], with a label for each of outer x inner.
struct CrossEntropyShape {
  explicit CrossEntropyShape(Span<const int64_t> scores) : outer(scores[0]), classes(scores[1]) {
    for (size_t axis = 2; axis < scores.size(); ++axis) inner *= scores[axis];
  }
  int64_t outer, classes, inner = 1;
};

// The logarithm of softmax in a type that no fast kernel serves.
template <class T>
void logSoftmaxReference(const T* x, const CrossEntropyShape& s, T* y) {
  for (int64_t o = 0; o < s.outer; ++o) {
    for (int64_t i = 0; i < s.inner; ++i) {
      const int64_t first = o * s.classes * s.inner + i;
      T largest = x[first];
      for (int64_t k = 1; k < s.classes; ++k) {
        largest = std::max(largest, x[first + k * s.inner]);
      }
      T sum = 0;
      for (int64_t k = 0; k < s.classes; ++k) sum += std::exp(x[first + k * s.inner] - largest);
      const T logarithm = std::log(sum);
      for (int64_t k = 0; k < s.classes; ++k) {
        y[first + k * s.inner] = x[first + k * s.inner] - largest - logarithm;
      }
    }
  }
}

template <class T>
void logSoftmax(const T* x, const CrossEntropyShape& s, T* y, bool fast, ThreadPool& pool) {
  if constexpr (std::is_same_v<T, float>) {
    if (fast) return kernels::logSoftmax(x, s.outer, s.classes, s.inner, y, pool);
  }
  logSoftmaxReference(x, s, y);
}

// Labels and what they weigh.
template <class T>
class LabelReader {
 public:
  // `labels` says which input they are; weights may follow.
  LabelReader(const EvalContext& c, int64_t classes, size_t labels)
      : node_(c.node),
        ignored_(c.node.attributes<CrossEntropyAttributes>().ignore_index),
        classes_(classes),
        labels_(c.in(labels)),
        weights_(c.hasIn(labels + 1) ? c.in(labels + 1).template data<T>() : nullptr) {}

  // Label i, or -1 where it is to be ignored; an Error for any other that is no class.
  int64_t label(int64_t i) const {
    const int64_t label = integerAt(labels_, i);
    if (ignored_ && label == *ignored_) return -1;
    if (label < 0 || label >= classes_) {
      node_.fail("label {} is out of range for {} classes", label, classes_);
    }
    return label;
  }
  T weight(int64_t label) const {
    if (label < 0) return 0;
    return weights_ == nullptr ? T{1} : weights_[label];
  }
  T totalWeight() const {
    double sum = 0;
    for (int64_t i = 0; i < labels_.size; ++i) sum += static_cast<double>(weight(label(i)));
    return static_cast<T>(sum);
  }

 private:
  const Node& node_;
  const std::optional<int64_t> ignored_;
  const int64_t classes_;
  const TensorView& labels_;
  const T* weights_;
};

// The loss, output 0, from the logarithms of probabilities.
template <class T>
void labelLoss(const EvalContext& c, const CrossEntropyShape& s, const T* log_prob) {
  const std::string& reduction = c.node.attributes<CrossEntropyAttributes>().reduction;
  const LabelReader<T> reader(c, s.classes, kLabels);
  T* loss = c.out().data<T>();
  double sum = 0;
  double weights = 0;
  for (int64_t i = 0; i < s.outer * s.inner; ++i) {
    const int64_t label = reader.label(i);
    const T weight = reader.weight(label);
    const T own =
        label < 0 ? T{0}
                  : -weight * log_prob[(i / s.inner * s.classes + label) * s.inner + i % s.inner];
    if (reduction == "none") loss[i] = own;
    sum += static_cast<double>(own);
    weights += static_cast<double>(weight);
  }
  if (reduction == "sum") *loss = static_cast<T>(sum);
  if (reduction == "mean") *loss = static_cast<T>(sum / weights);
}

// For a gradient, whose inputs are the loss's gradient and then the loss's inputs: calls
// one(first, label, factor) for each label, spread over threads. `first` is where its scores begin,
// which lie s.inner apart; `factor` is the loss's gradient times the label's weight, divided by all
// labels' weights for reduction "mean". Label -1 is one to ignore.
template <class T, class F>
void forEachLabel(const EvalContext& c, const CrossEntropyShape& s, F one) {
  const std::string& reduction = c.node.attributes<CrossEntropyAttributes>().reduction;
  const LabelReader<T> reader(c, s.classes, 1 + kLabels);
  const T total = reduction == "mean" ? reader.totalWeight() : T{1};
  const T* dloss = c.in(0).data<T>();
  const bool each = reduction == "none";
  const int64_t grain = std::max<int64_t>(1, 1024 / s.classes);
  c.pool.runRanges(s.outer * s.inner, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t label = reader.label(i);
      const T factor = label < 0 ? T{0} : dloss[each ? i : 0] * reader.weight(label) / total;
      one(i / s.inner * s.classes * s.inner + i % s.inner, label, factor);
    }
  });
}

}  // namespace simaqat::ops
