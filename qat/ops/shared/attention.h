// What Attention and its gradient share: y = softmax(scale * q k^T + mask) v, for each head.
#pragma once

#include <cmath>
#include <limits>

#include "kernels/workspace.h"
#include "qat/ops/shared/broadcast.h"

namespace simaqat::ops {

struct AttentionAttributes {
  bool is_causal = false;
  std::optional<int64_t> kv_num_heads;
  std::optional<int64_t> q_num_heads;
  int64_t qk_matmul_output_mode = 0;
  // Absent: one over the root of the heads' size.
  std::optional<float> scale;
  float softcap = 0;
  std::optional<int64_t> softmax_precision;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("is_causal", self.is_causal);
    visit("kv_num_heads", self.kv_num_heads);
    visit("q_num_heads", self.q_num_heads);
    visit("qk_matmul_output_mode", self.qk_matmul_output_mode);
    visit("scale", self.scale);
    visit("softcap", self.softcap);
    visit("softmax_precision", self.softmax_precision);
  }
};

// How the rows of one operand are found: [batch, heads, length, size], or [batch, length, heads *
// size].
struct AttentionRows {
  int64_t heads = 1, length = 0, size = 0;
  bool heads_last = false;

  int64_t offset(int64_t batch, int64_t head, int64_t row) const {
    return heads_last ? ((batch * length + row) * heads + head) * size
                      : ((batch * heads + head) * length + row) * size;
  }
};

// All sizes. Several heads of q may share one of k and v.
struct AttentionShape {
  AttentionShape(const Node& node, const AttentionAttributes& attributes,
                 Span<const int64_t> q_dims, Span<const int64_t> k_dims,
                 Span<const int64_t> v_dims);

  int64_t batch;
  AttentionRows q, k, v;
  // y's rows are where q's are, with v's size.
  AttentionRows y;
  int64_t shared;  // heads of q for one of k
  double scale;
  double softcap;
  bool is_causal;
};

// One row of the attention: its scores, and what they weigh.
template <class T>
class AttentionRow {
 public:
  AttentionRow(const AttentionShape& shape, const TensorView& mask) : s_(shape), mask_(mask) {}

  // weights[j] for each row j of k, and the derivative of the capped score by the uncapped one.
  void weigh(const T* q, const T* k, int64_t batch, int64_t head, int64_t row, double* weights,
             double* slopes) const {
    double largest = -std::numeric_limits<double>::infinity();
    const T* from = q + s_.q.offset(batch, head, row);
    for (int64_t j = 0; j < s_.k.length; ++j) {
      const T* key = k + s_.k.offset(batch, head / s_.shared, j);
      double score = 0;
      for (int64_t i = 0; i < s_.q.size; ++i) {
        score += static_cast<double>(from[i]) * static_cast<double>(key[i]);
      }
      score = score * s_.scale + maskAt(batch, head, row, j);
      slopes[j] = 1;
      if (s_.softcap > 0) {
        const double bounded = std::tanh(score / s_.softcap);
        score = s_.softcap * bounded;
        slopes[j] = 1 - bounded * bounded;
      }
      weights[j] = score;
      largest = std::max(largest, score);
    }
    double sum = 0;
    for (int64_t j = 0; j < s_.k.length; ++j) sum += weights[j] = std::exp(weights[j] - largest);
    for (int64_t j = 0; j < s_.k.length; ++j) weights[j] /= sum;
  }

 private:
  double maskAt(int64_t batch, int64_t head, int64_t row, int64_t j) const {
    constexpr double kNever = -std::numeric_limits<double>::infinity();
    if (s_.is_causal && j > row) return kNever;
    if (!mask_.present()) return 0;
    const int64_t index[] = {batch, head, row, j};
    int64_t offset = 0;
    for (size_t axis = 0; axis < mask_.dims.size(); ++axis) {
      const int64_t size = mask_.dims[axis];
      offset = offset * size + (size == 1 ? 0 : index[axis + 4 - mask_.dims.size()]);
    }
    if (mask_.type == ElementType::kBool) return mask_.data<bool>()[offset] ? 0 : kNever;
    return static_cast<double>(mask_.data<T>()[offset]);
  }

  const AttentionShape& s_;
  const TensorView& mask_;
};

// Scratch memory: some lists of numbers, one for each of `length` rows of k, for each thread.
inline kernels::ThreadArrays<double> attentionLists(int64_t length, int lists, int threads,
                                                    kernels::Workspace& workspace) {
  return workspace.takeForThreads<double>(threads, lists * length);
}
int64_t attentionWorkspace(const Value* k, int lists, int threads);

}  // namespace simaqat::ops
