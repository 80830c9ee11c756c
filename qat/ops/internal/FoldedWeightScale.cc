#include <algorithm>
#include <cmath>

#include "kernels/fake_quantize.h"
#include "qat/ir/range_search.h"
#include "qat/ops/shared/fake_quantize.h"

namespace simaqat::ops {
namespace {

// The scales of a weight that ships with one for all channels, with the BatchNormalization behind
// it folded in. Inputs: the weight, gamma and the running variance, epsilon, and, for "folded_lsq",
// the learned scale. With a_c = gamma_c / sqrt(var_c + epsilon) the folded weight a_c W_c has the
// scale
//   "folded_max": s = max_c |a_c| max|W_c| / qmax
//   "folded_mse": that part of it with the least squared error (range_search.h)
//   "folded_lsq": s as it was learned
// and fake_quant(a_c W_c, s) = a_c fake_quant(W_c, s / |a_c|): so s / |a_c| is what this gives each
// channel of W itself. Where a_c is 0, what ships is 0, and the channel's own scale lets gamma have
// a gradient.

enum Input { kW, kGamma, kVariance, kEpsilon, kLearned };

void infer(InferContext& c) {
  const auto& spec = c.node.attributes<QuantizerSpec>();
  const std::vector<int64_t> dims = c.input(kW).dims();
  const Shape scales = toShape(scaleDims(spec, dims));
  c.setOutput(0, c.input(kW).element, scales);
  int64_t count = 1;
  for (const Dim& dim : scales) count *= dim.value;
  const int64_t channels = channelOfScale(spec, dims, count - 1) + 1;
  if (c.input(kGamma).size() != channels || c.input(kVariance).size() != channels) {
    c.node.fail("the weight has {} output channels, the BatchNormalization behind it {}", channels,
                c.input(kGamma).size());
  }
}

// |a_c| of each scale's channel.
std::vector<float> factorsOf(const EvalContext& c) {
  const auto& spec = c.node.attributes<QuantizerSpec>();
  const float epsilon = *c.in(kEpsilon).data<float>();
  std::vector<float> factors(static_cast<size_t>(c.out().size));
  for (size_t i = 0; i < factors.size(); ++i) {
    const int64_t ch = channelOfScale(spec, c.in(kW).dims, static_cast<int64_t>(i));
    factors[i] = std::fabs(c.in(kGamma).data<float>()[ch]) /
                 std::sqrt(c.in(kVariance).data<float>()[ch] + epsilon);
  }
  return factors;
}

// Of the folded weight, s being the scale of its largest magnitude. A channel's errors are those of
// W_c at scales over |a_c|, times a_c^2; one without a scale has nothing that ships.
float folded(const EvalContext& c, const std::vector<float>& factors, float largest) {
  const auto& spec = c.node.attributes<QuantizerSpec>();
  const ChannelLayout layout = channelLayout(c.in(kW), c.out().size, spec);
  std::vector<ScaleErrors> errors(factors.size());
  c.pool.run(layout.channels, [&](int64_t ch, int) {
    const auto channel = static_cast<size_t>(ch);
    const float own = largest / factors[channel];
    if (!std::isfinite(own)) return;
    errors[channel] = errorsOfScales(spec, c.in(kW).data<float>() + ch * layout.inner, layout.outer,
                                     layout.channels * layout.inner, layout.inner, own);
  });
  ScaleErrors sums{};
  for (size_t ch = 0; ch < factors.size(); ++ch) {
    const double square = static_cast<double>(factors[ch]) * factors[ch];
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += square * errors[ch][i];
  }
  return scaleOfLeastError(sums, largest);
}

void evaluate(const EvalContext& c) {
  const auto& spec = c.node.attributes<QuantizerSpec>();
  const ChannelLayout layout = channelLayout(c.in(kW), c.out().size, spec);
  const std::vector<float> factors = factorsOf(c);
  float* scale = c.out().data<float>();
  kernels::channelAbsMax(c.in(kW).data<float>(), layout.outer, layout.channels, layout.inner, scale,
                         c.pool);
  float most = 0;
  for (size_t ch = 0; ch < factors.size(); ++ch) most = std::max(most, factors[ch] * scale[ch]);
  float shared = scaleFromMaxAbs(spec, most);
  if (spec.observer == "folded_mse") shared = folded(c, factors, shared);
  if (spec.learnsFoldedScale()) shared = *c.in(kLearned).data<float>();
  for (size_t ch = 0; ch < factors.size(); ++ch) {
    const float own = shared / factors[ch];
    if (std::isnan(scale[ch])) continue;  // a weight is
    scale[ch] = std::isfinite(own) ? own : scaleFromMaxAbs(spec, scale[ch]);
  }
}

// Straight through for all but the learned scale: each channel's is a multiple of it. Where a_c is
// 0, no gradient reaches the channel's, since what is behind it is multiplied by gamma.
void gradient(GradientContext& c) {
  if (!c.wants(kLearned)) return;
  Value* product = c.add("Mul", {c.outputGradient(), c.output()});
  c.setInputGradient(kLearned,
                     c.add("Div", {c.sumTo(product, c.input(kLearned)), c.input(kLearned)}));
}

}  // namespace

OpDefinition defineFoldedWeightScale() {
  OpDefinition op;
  op.name = "FoldedWeightScale";
  op.domain = "simaqat";
  op.min_inputs = 4;
  op.max_inputs = 5;
  op.make_attributes = &makeAttributes<QuantizerSpec>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  return op;
}

}  // namespace simaqat::ops
