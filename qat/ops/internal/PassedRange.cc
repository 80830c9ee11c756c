#include <algorithm>
#include <cmath>
#include <limits>

#include "qat/base/float_order.h"
#include "qat/ops/shared/pointwise.h"

namespace simaqat::ops {
namespace {

// Where the gradient of a channel passes what lies in front of it: the least and the greatest x for
// which operators that let it pass or not (PointwiseTraits::passes), all deciding on the same
// monotone function of x, let it pass. The program's operands are dy, x and then the inputs, of
// which each is a number, or one for each channel. Outputs: lo, hi, one for each channel; NaN where
// nothing passes.
//
// Rounding is monotone, too, and so the range is found to the bit, by halves.

constexpr size_t kFirstOperand = 2;
constexpr int kX = 1;
// Channels that are searched together.
constexpr int64_t kTogether = 128;

void infer(InferContext& c) {
  const int64_t channels = programOf(c.node).size();
  for (size_t i = 0; i < 2; ++i) c.setOutput(i, ElementType::kFloat, Shape{channels});
}

// [slot][kTogether] of each thread.
kernels::ThreadArrays<float> valuesOfSlots(const Node& node, int threads,
                                           kernels::Workspace& workspace) {
  return workspace.takeForThreads<float>(threads, programOf(node).slots() * kTogether);
}

class RangeSearch {
 public:
  // Of `count` channels from `first` on.
  RangeSearch(const EvalContext& c, int64_t first, int64_t count, float* memory)
      : program_(programOf(c.node)), count_(count), memory_(memory) {
    for (size_t k = kFirstOperand; k < program_.operands().size(); ++k) {
      const TensorView& view = c.inputs[k - kFirstOperand];
      float* to = memory_ + static_cast<int64_t>(k) * kTogether;
      std::fill_n(to, kTogether, view.data<float>()[0]);
      if (view.size > 1) std::copy_n(view.data<float>() + first, count, to);
    }
    for (const PointwiseProgram::Step& step : program_.steps()) {
      if (step.node->op().pointwise.passes == nullptr) continue;
      value_ = step.in[1];
      const float* in[kMaxPointwiseInputs];
      slots(step, in);
      const FloatRange own = step.node->op().pointwise.passes(*step.node, in);
      // A NaN, which nothing passes, stays one.
      if (!std::isnan(passed_.lo) && !(own.lo <= passed_.lo)) passed_.lo = own.lo;
      if (!std::isnan(passed_.hi) && !(own.hi >= passed_.hi)) passed_.hi = own.hi;
    }
  }

  void run(float* lo, float* hi) {
    const float most = std::numeric_limits<float>::max();
    float at_least[kTogether];
    std::copy_n(valuesAt([&](int64_t) { return -most; }), kTogether, at_least);
    const float* at_most = valuesAt([&](int64_t) { return most; });
    // Where values fall as x grows, they are negated, and so is their range.
    for (int64_t i = 0; i < kTogether; ++i) {
      const bool falls = at_most[i] < at_least[i];
      sign_[i] = falls ? -1.0f : 1.0f;
      lo_[i] = falls ? -passed_.hi : passed_.lo;
      hi_[i] = falls ? -passed_.lo : passed_.hi;
    }
    int32_t below[kTogether], above[kTogether];
    search(below, above, [&](int64_t i, float v) { return v >= lo_[i]; });
    for (int64_t i = 0; i < count_; ++i) lo[i] = floatOfKey(above[i]);
    search(below, above, [&](int64_t i, float v) { return !(v <= hi_[i]); });
    for (int64_t i = 0; i < count_; ++i) hi[i] = floatOfKey(below[i]);
  }

 private:
  template <class IsAbove>
  void search(int32_t* below, int32_t* above, IsAbove&& is_above) {
    std::fill_n(below, kTogether, kFirstBelow);
    std::fill_n(above, kTogether, kFirstAbove);
    for (int k = 0; k < kFloatHalvings; ++k) {
      int32_t middle[kTogether];
      for (int64_t i = 0; i < kTogether; ++i) middle[i] = middleKey(below[i], above[i]);
      const float* value = valuesAt([&](int64_t i) { return floatOfKey(middle[i]); });
      for (int64_t i = 0; i < kTogether; ++i) {
        const bool is = is_above(i, sign_[i] * value[i]);
        below[i] = is ? below[i] : middle[i];
        above[i] = is ? middle[i] : above[i];
      }
    }
  }

  // What the function makes of x(i) in channel i.
  template <class X>
  const float* valuesAt(X&& x) {
    float* xs = memory_ + kX * kTogether;
    for (int64_t i = 0; i < kTogether; ++i) xs[i] = x(i);
    for (const PointwiseProgram::Step& step : program_.steps()) {
      if (step.node->op().pointwise.passes != nullptr) continue;
      const float* in[kMaxPointwiseInputs];
      slots(step, in);
      step.node->op().pointwise.block(*step.node, in, memory_ + step.out * kTogether, kTogether);
    }
    return memory_ + value_ * kTogether;
  }

  void slots(const PointwiseProgram::Step& step, const float** in) const {
    for (size_t i = 0; i < kMaxPointwiseInputs; ++i) {
      const bool is_there = i < step.in.size() && step.in[i] >= 0;
      in[i] = is_there ? memory_ + step.in[i] * kTogether : nullptr;
    }
  }

  const PointwiseProgram& program_;
  int64_t count_;
  float* memory_;  // [slot][kTogether]
  int value_ = kX;
  // Of the function's values.
  FloatRange passed_{-std::numeric_limits<float>::infinity(),
                     std::numeric_limits<float>::infinity()};
  float sign_[kTogether], lo_[kTogether], hi_[kTogether];  // of each channel's values
};

void evaluate(const EvalContext& c) {
  const int64_t channels = programOf(c.node).size();
  kernels::Workspace workspace(c.workspace);
  const auto memory = valuesOfSlots(c.node, c.pool.threads(), workspace);
  c.pool.run((channels + kTogether - 1) / kTogether, [&](int64_t piece, int worker) {
    const int64_t first = piece * kTogether;
    RangeSearch search(c, first, std::min(kTogether, channels - first), memory.of(worker));
    search.run(c.out(0).data<float>() + first, c.out(1).data<float>() + first);
  });
}

int64_t workspace(const Node& node, int threads) {
  kernels::Workspace workspace(nullptr);
  valuesOfSlots(node, threads, workspace);
  return static_cast<int64_t>(workspace.used());
}

}  // namespace

OpDefinition definePassedRange() {
  OpDefinition op;
  op.name = "PassedRange";
  op.domain = "simaqat";
  op.max_inputs = kMaxPointwiseInputs;
  op.min_outputs = op.max_outputs = 2;
  op.make_attributes = &makeAttributes<PointwiseAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.workspace = workspace;
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
