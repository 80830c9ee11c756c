#include <cmath>

#include "kernels/fake_quantize.h"
#include "qat/ops/shared/fake_quantize.h"

namespace simaqat::ops {
namespace {

// The scale of a weight's quantizer: each channel's largest magnitude over qmax.

void infer(InferContext& c) {
  c.setOutput(0, c.input(0).element,
              toShape(scaleDims(c.input(0).dims(), c.node.attributes<QuantizerSpec>().axis)));
}

void evaluate(const EvalContext& c) {
  const auto& spec = c.node.attributes<QuantizerSpec>();
  const ChannelLayout layout = channelLayout(c.in(0), c.out().size, spec.axis);
  float* scale = c.out().data<float>();
  kernels::channelAbsMax(c.in(0).data<float>(), layout.outer, layout.channels, layout.inner, scale,
                         c.pool);
  for (int64_t ch = 0; ch < layout.channels; ++ch) scale[ch] = scaleFromMaxAbs(spec, scale[ch]);
}

}  // namespace

OpDefinition defineWeightScale() {
  OpDefinition op;
  op.name = "WeightScale";
  op.domain = "simaqat";
  op.make_attributes = &makeAttributes<QuantizerSpec>;
  op.infer = infer;
  op.evaluate = evaluate;
  return op;
}

}  // namespace simaqat::ops
