// Sums of products over named axes: what Einsum and its gradient are.
#pragma once

#include <string>
#include <vector>

#include "qat/ops/shared/strided_copy.h"

namespace simaqat::ops {

struct EinsumAttributes {
  std::string equation;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit.required("equation", self.equation);
  }
};

struct EinsumGradientAttributes : EinsumAttributes {
  // Which operand the gradient is of, and its dimensions.
  int64_t operand = 0;
  std::vector<int64_t> shape;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    EinsumAttributes::fields(self, visit);
    visit.required("operand", self.operand);
    visit.required("shape", self.shape);
  }
};

// An equation for operands of known ranks: the label of every axis. Labels count from 0 in the
// order in which they are seen; the axes of an ellipsis are labels too, aligned at the last one.
struct EinsumLabels {
  // Fails naming the node where the equation is none for these ranks.
  EinsumLabels(const Node& node, const std::string& equation, const std::vector<size_t>& ranks);

  std::vector<std::vector<size_t>> operands;
  std::vector<size_t> output;
  size_t count = 0;
};

// The sum of products of operands into a result, over every label.
class EinsumWalk {
 public:
  static constexpr size_t kMaxOperands = 8;

  // `labels` and `dims` of the operands and, last, of the result.
  EinsumWalk(const Node& node, size_t label_count,
             const std::vector<const std::vector<size_t>*>& labels,
             const std::vector<Span<const int64_t>>& dims);

  // The result is filled with zeros, and each of its elements with labels gets its sum.
  template <class T>
  void run(const std::vector<const T*>& operands, const TensorView& result, ThreadPool& pool) const;

 private:
  struct Label {
    int64_t size = 1;
    std::array<int64_t, kMaxOperands + 1> strides{};
  };
  template <class T>
  double sum(size_t label, const std::array<const T*, kMaxOperands>& at) const;

  size_t operands_;
  // Those that tell elements of the result apart, then those that are summed over.
  std::vector<Label> kept_, summed_;
};

template <class T>
double EinsumWalk::sum(size_t label, const std::array<const T*, kMaxOperands>& at) const {
  const Label own = label < summed_.size() ? summed_[label] : Label();
  std::array<const T*, kMaxOperands> next = at;
  double total = 0;
  for (int64_t i = 0; i < own.size; ++i) {
    if (label + 1 < summed_.size()) {
      total += sum<T>(label + 1, next);
    } else {
      double product = 1;
      for (size_t k = 0; k < operands_; ++k) product *= static_cast<double>(*next[k]);
      total += product;
    }
    for (size_t k = 0; k < operands_; ++k) next[k] += own.strides[k];
  }
  return total;
}

template <class T>
void EinsumWalk::run(const std::vector<const T*>& operands, const TensorView& result,
                     ThreadPool& pool) const {
  fill(result, nullptr, pool);
  int64_t elements = 1;
  int64_t products = 1;
  for (const Label& label : kept_) elements *= label.size;
  for (const Label& label : summed_) products *= label.size;
  pool.runRanges(elements, kElementwiseGrain / (products + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      std::array<const T*, kMaxOperands> at{};
      std::copy(operands.begin(), operands.end(), at.begin());
      T* to = result.data<T>();
      int64_t rest = i;
      for (size_t label = kept_.size(); label-- > 0;) {
        const Label& own = kept_[label];
        const int64_t index = rest % own.size;
        rest /= own.size;
        for (size_t k = 0; k < operands_; ++k) at[k] += index * own.strides[k];
        to += index * own.strides[operands_];
      }
      *to = static_cast<T>(sum<T>(0, at));
    }
  });
}

}  // namespace simaqat::ops
