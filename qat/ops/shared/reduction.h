// What the Reduce operators share.
#pragma once

#include <array>

#include "qat/ops/shared/broadcast.h"

namespace simaqat::ops {

struct ReduceAttributes {
  bool keepdims = true;
  bool noop_with_empty_axes = false;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("keepdims", self.keepdims);
    visit("noop_with_empty_axes", self.noop_with_empty_axes);
  }
};

// The shape rule: data, and the list of axes as an optional input 1.
void inferReduce(InferContext& c);

// Axes have been an attribute before opset 18, of ReduceSum before 13.
void upgradeReduce(PortableNode& node, int opset);
void downgradeReduce(PortableNode& node, int opset);

// Kept and lost axes of all kinds, for the operators' examples.
std::vector<OpExample> reduceExamples();

// A gradient with respect to the output, repeated along the reduced axes of input 0.
Value* expandReduced(GradientContext& c, Value* gradient);

// The input's axes as runs of reduced and kept ones that alternate; axes of size 1 are left out.
class ReduceWalk {
 public:
  // Of a Reduce operator: the axes are its input 1.
  explicit ReduceWalk(const EvalContext& c);
  // Of any other: `axes` of data of dimensions `dims` are reduced.
  ReduceWalk(const Node& node, Span<const int64_t> dims, const std::vector<int64_t>& axes);

  // How many elements make one of the output.
  int64_t reducedCount() const;
  // Whether the input is [outer reduced, kept, inner reduced] with possibly empty parts.
  struct ChannelForm {
    int64_t outer, channels, inner;
  };
  std::optional<ChannelForm> channelForm() const;

  // Calls f(i) for the indices i of the input that make output element `output`, in order.
  template <class F>
  void forEach(int64_t output, F f) const {
    int64_t base = 0;
    for (size_t k = rank_; k-- > 0;) {
      if (runs_[k].reduced) continue;
      base += output % runs_[k].size * runs_[k].stride;
      output /= runs_[k].size;
    }
    visit(0, base, f);
  }

 private:
  struct Run {
    int64_t size, stride;
    bool reduced;
  };

  template <class IsReduced>
  void addRuns(const Node& node, Span<const int64_t> dims, IsReduced is_reduced);

  template <class F>
  void visit(size_t from, int64_t base, F& f) const {
    while (from < rank_ && !runs_[from].reduced) ++from;
    if (from == rank_) {
      f(base);
      return;
    }
    for (int64_t i = 0; i < runs_[from].size; ++i) {
      visit(from + 1, base + i * runs_[from].stride, f);
    }
  }

  size_t rank_ = 0;
  std::array<Run, kMaxBroadcastRank> runs_;
};

// Reference evaluation: calls one(walk, output) for each element of the output.
template <class F>
void forEachReduced(const EvalContext& c, F one) {
  const ReduceWalk walk(c);
  const int64_t grain = std::max<int64_t>(1, kElementwiseGrain / (walk.reducedCount() + 1));
  c.pool.runRanges(c.out().size, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) one(walk, i);
  });
}

// y = the sum over the reduced axes, added in double or int64, divided by `divisor`.
template <class T>
void reduceSum(const EvalContext& c, int64_t divisor) {
  using Wide = std::conditional_t<std::is_floating_point_v<T>, double, int64_t>;
  const T* x = c.in(0).data<T>();
  T* y = c.out().data<T>();
  forEachReduced(c, [=](const ReduceWalk& walk, int64_t output) {
    Wide sum = 0;
    walk.forEach(output, [&](int64_t i) { sum += static_cast<Wide>(x[i]); });
    y[output] = static_cast<T>(sum / static_cast<Wide>(divisor));
  });
}

}  // namespace simaqat::ops
