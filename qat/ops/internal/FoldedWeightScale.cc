#include <algorithm>
#include <cmath>

#include "kernels/fake_quantize.h"
#include "qat/ir/quantizer.h"
#include "qat/ops/shared/fake_quantize.h"

namespace simaqat::ops {
namespace {

// The scale of a weight that ships with one for all channels, with the BatchNormalization behind it
// folded in. Inputs: the weight, gamma and the running variance, and epsilon. With
// a_c = gamma_c / sqrt(var_c + epsilon) the folded weight's scale is s = max_c |a_c| max|W_c| /
// qmax, and fake_quant(a_c W_c, s) = a_c fake_quant(W_c, s / |a_c|): so s / |a_c| is what this
// gives each channel of W itself. Where a_c is 0, what ships is 0, and the channel's own scale lets
// gamma have a gradient.

enum Input { kW, kGamma, kVariance, kEpsilon };

void infer(InferContext& c) {
  c.setOutput(0, c.input(kW).element,
              toShape(scaleDims(c.input(kW).dims(), c.node.attributes<QuantizerSpec>().axis)));
}

void evaluate(const EvalContext& c) {
  const auto& spec = c.node.attributes<QuantizerSpec>();
  const int64_t channels = c.out().size;
  const ChannelLayout layout = channelLayout(c.in(kW), channels, spec.axis);
  float* scale = c.out().data<float>();
  kernels::channelAbsMax(c.in(kW).data<float>(), layout.outer, layout.channels, layout.inner, scale,
                         c.pool);
  const float epsilon = *c.in(kEpsilon).data<float>();
  const auto factor = [&](int64_t ch) {
    return std::fabs(c.in(kGamma).data<float>()[ch]) /
           std::sqrt(c.in(kVariance).data<float>()[ch] + epsilon);
  };
  float most = 0;
  for (int64_t ch = 0; ch < channels; ++ch) most = std::max(most, factor(ch) * scale[ch]);
  const float folded = scaleFromMaxAbs(spec, most);
  for (int64_t ch = 0; ch < channels; ++ch) {
    const float own = folded / factor(ch);
    scale[ch] = most > 0 && std::isfinite(own) ? own : scaleFromMaxAbs(spec, scale[ch]);
  }
}

}  // namespace

OpDefinition defineFoldedWeightScale() {
  OpDefinition op;
  op.name = "FoldedWeightScale";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 4;
  op.make_attributes = &makeAttributes<QuantizerSpec>;
  op.infer = infer;
  op.evaluate = evaluate;
  return op;
}

}  // namespace simaqat::ops
