#include <algorithm>
#include <cmath>

#include "kernels/fake_quantize.h"
#include "kernels/quantizer_formula.h"
#include "qat/ops/shared/fake_quantize.h"

namespace simaqat::ops {
namespace {

// dx from (dy, x, scale, zero_point): dy where the rounded code is in range, else 0. Where the scale
// is learned the code is not rounded first, as in LSQ.

void evaluate(const EvalContext& c) {
  const auto& spec = c.node.attributes<QuantizerSpec>();
  const ChannelLayout layout = channelLayout(c.in(1), c.in(2).size, spec);
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    for (int64_t i = 0; i < c.out().size; ++i) {
      const int64_t ch = i / layout.inner % layout.channels;
      const T quotient = c.in(1).data<T>()[i] / c.in(2).data<T>()[ch];
      const T code = (spec.learnsScale() ? quotient : std::nearbyint(quotient)) +
                     c.in(3).data<T>()[ch];
      const bool passes = code >= static_cast<T>(spec.qmin) && code <= static_cast<T>(spec.qmax);
      c.out().data<T>()[i] = passes ? c.in(0).data<T>()[i] : T{0};
    }
  });
}

void learnedKernel(const EvalContext& c) {
  const auto& spec = c.node.attributes<QuantizerSpec>();
  const ChannelLayout layout = channelLayout(c.in(1), c.in(2).size, spec);
  const auto qmin = static_cast<float>(spec.qmin);
  const auto qmax = static_cast<float>(spec.qmax);
  c.pool.runRanges(c.out().size, kElementwiseGrain, [&](int64_t begin, int64_t end) {
    const float* dy = c.in(0).data<float>();
    const float* x = c.in(1).data<float>();
    float* dx = c.out().data<float>();
    while (begin < end) {
      const int64_t row = begin / layout.inner;
      const int64_t row_end = std::min(end, (row + 1) * layout.inner);
      const float scale = c.in(2).data<float>()[row % layout.channels];
      const float zero = c.in(3).data<float>()[row % layout.channels];
      for (; begin < row_end; ++begin) {
        dx[begin] = kernels::learnedQuantizerGrad(x[begin], dy[begin], scale, zero, qmin, qmax);
      }
    }
  });
}

void kernel(const EvalContext& c) {
  const auto& spec = c.node.attributes<QuantizerSpec>();
  if (spec.learnsScale()) return learnedKernel(c);
  const ChannelLayout layout = channelLayout(c.in(1), c.in(2).size, spec);
  const float* dy = c.in(0).data<float>();
  const float* x = c.in(1).data<float>();
  const float* scale = c.in(2).data<float>();
  const float* zero = c.in(3).data<float>();
  const auto qmin = static_cast<float>(spec.qmin);
  const auto qmax = static_cast<float>(spec.qmax);
  if (layout.channels == 1) {
    kernels::fakeQuantizeGrad(x, dy, c.out().size, *scale, *zero, qmin, qmax,
                              c.out().data<float>(), c.pool);
  } else {
    kernels::fakeQuantizeGradPerChannel(x, dy, layout.outer, layout.channels, layout.inner, scale,
                                        zero, qmin, qmax, c.out().data<float>(), c.pool);
  }
}

void block(const Node& node, const float* const* in, float* out, int64_t n) {
  const auto& spec = node.attributes<QuantizerSpec>();
  const auto qmin = static_cast<float>(spec.qmin);
  const auto qmax = static_cast<float>(spec.qmax);
  const float *dy = in[0], *x = in[1], *scale = in[2], *zero = in[3];
  if (spec.learnsScale()) {
    for (int64_t i = 0; i < n; ++i) {
      out[i] = kernels::learnedQuantizerGrad(x[i], dy[i], scale[i], zero[i], qmin, qmax);
    }
  } else {
    for (int64_t i = 0; i < n; ++i) {
      out[i] = kernels::fakeQuantizedGrad(x[i], dy[i], scale[i], zero[i], qmin, qmax);
    }
  }
}

bool isPointwise(const Node& node) { return !node.attributes<QuantizerSpec>().perChannel(); }

FloatRange passes(const Node& node, const float* const* in) {
  return passingRange(node.attributes<QuantizerSpec>(), *in[2], *in[3]);
}

}  // namespace

OpDefinition defineFakeQuantizeGradient() {
  OpDefinition op;
  op.name = "FakeQuantizeGradient";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 4;
  op.make_attributes = &makeAttributes<QuantizerSpec>;
  op.infer = inferSameAsInput;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.pointwise = {block, isPointwise, false};
  op.pointwise.passes = passes;
  op.gradient_is_error = true;
  op.in_place = {{0, 0}};
  return op;
}

}  // namespace simaqat::ops
