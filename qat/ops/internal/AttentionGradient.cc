#include "qat/ops/shared/attention.h"

namespace simaqat::ops {
namespace {

// (dq, dk, dv, dscores) of Attention, from inputs (dy, q, k, v, mask), mask optional. dscores, the
// mask's gradient before broadcasting is undone, is [batch, heads, rows of q, rows of k], and
// optional.
enum Input { kDy, kQ, kK, kV, kMask };

void infer(InferContext& c) {
  for (size_t i = 0; i < 3; ++i) c.setOutput(i, c.input(i + 1).element, c.input(i + 1).shape);
  if (c.node.outputCount() < 4) return;
  const std::vector<int64_t> q = c.input(kQ).dims();
  const std::vector<int64_t> k = c.input(kK).dims();
  const std::vector<int64_t> v = c.input(kV).dims();
  const AttentionShape s(c.node, c.node.attributes<AttentionAttributes>(), q, k, v);
  c.setOutput(3, c.input(kQ).element, Shape{s.batch, s.q.heads, s.q.length, s.k.length});
}

template <class T>
class Backward {
 public:
  Backward(const EvalContext& c, const AttentionShape& shape, const TensorView& mask)
      : c_(c), s_(shape), attention_(shape, mask) {}

  // One head of k and v, with the heads of q that share it.
  void runHead(int64_t batch, int64_t kv_head, double* scratch) const {
    for (int64_t j = 0; j < s_.k.length; ++j) {
      T* dk = c_.out(1).data<T>() + s_.k.offset(batch, kv_head, j);
      T* dv = c_.out(2).data<T>() + s_.v.offset(batch, kv_head, j);
      std::fill(dk, dk + s_.k.size, T{0});
      std::fill(dv, dv + s_.v.size, T{0});
    }
    for (int64_t head = kv_head * s_.shared; head < (kv_head + 1) * s_.shared; ++head) {
      for (int64_t row = 0; row < s_.q.length; ++row) runRow(batch, head, row, scratch);
    }
  }

 private:
  void runRow(int64_t batch, int64_t head, int64_t row, double* weights) const {
    const int64_t kv_head = head / s_.shared;
    double* slopes = weights + s_.k.length;
    double* dscores = slopes + s_.k.length;
    attention_.weigh(c_.in(kQ).data<T>(), c_.in(kK).data<T>(), batch, head, row, weights, slopes);
    const T* dy = c_.in(kDy).data<T>() + s_.y.offset(batch, head, row);
    double mean = 0;
    for (int64_t j = 0; j < s_.k.length; ++j) {
      const T* v = c_.in(kV).data<T>() + s_.v.offset(batch, kv_head, j);
      T* dv = c_.out(2).data<T>() + s_.v.offset(batch, kv_head, j);
      dscores[j] = 0;
      for (int64_t i = 0; i < s_.v.size; ++i) {
        dscores[j] += static_cast<double>(dy[i]) * static_cast<double>(v[i]);
        dv[i] += static_cast<T>(weights[j]) * dy[i];
      }
      mean += weights[j] * dscores[j];
    }
    const T* q = c_.in(kQ).data<T>() + s_.q.offset(batch, head, row);
    T* dq = c_.out(0).data<T>() + s_.q.offset(batch, head, row);
    std::fill(dq, dq + s_.q.size, T{0});
    for (int64_t j = 0; j < s_.k.length; ++j) {
      const double dscore = weights[j] * (dscores[j] - mean) * slopes[j];
      const T factor = static_cast<T>(dscore * s_.scale);
      const T* k = c_.in(kK).data<T>() + s_.k.offset(batch, kv_head, j);
      T* dk = c_.out(1).data<T>() + s_.k.offset(batch, kv_head, j);
      for (int64_t i = 0; i < s_.q.size; ++i) {
        dq[i] += factor * k[i];
        dk[i] += factor * q[i];
      }
      if (c_.outputs.size() > 3) {
        const int64_t line = (batch * s_.q.heads + head) * s_.q.length + row;
        c_.out(3).data<T>()[line * s_.k.length + j] = static_cast<T>(dscore);
      }
    }
  }

  const EvalContext& c_;
  const AttentionShape& s_;
  const AttentionRow<T> attention_;
};

void evaluate(const EvalContext& c) {
  const AttentionShape s(c.node, c.node.attributes<AttentionAttributes>(), c.in(kQ).dims,
                         c.in(kK).dims, c.in(kV).dims);
  const TensorView mask = c.hasIn(kMask) ? c.in(kMask) : TensorView();
  visitFloat(c, c.out().type, [&](auto tag) {
    const Backward<decltype(tag)> backward(c, s, mask);
    kernels::Workspace workspace(c.workspace);
    const auto lists = attentionLists(s.k.length, 3, c.pool.threads(), workspace);
    c.pool.run(s.batch * s.k.heads, [&](int64_t tile, int worker) {
      backward.runHead(tile / s.k.heads, tile % s.k.heads, lists.of(worker));
    });
  });
}

int64_t workspace(const Node& node, int threads) {
  return attentionWorkspace(node.input(kK), 3, threads);
}

}  // namespace

OpDefinition defineAttentionGradient() {
  OpDefinition op;
  op.name = "AttentionGradient";
  op.domain = "simaqat";
  op.min_inputs = 4;
  op.max_inputs = 5;
  op.min_outputs = 3;
  op.max_outputs = 4;
  op.make_attributes = &makeAttributes<AttentionAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.workspace = workspace;
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
