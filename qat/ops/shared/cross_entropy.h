// What SoftmaxCrossEntropyLoss and its gradient share.
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
  LabelReader(const EvalContext& c, int64_t classes, const TensorView& labels, const T* weights)
      : node_(c.node),
        ignored_(c.node.attributes<CrossEntropyAttributes>().ignore_index),
        classes_(classes),
        labels_(labels),
        weights_(weights) {}

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

}  // namespace simaqat::ops
