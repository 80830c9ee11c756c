#include <cmath>

#include "kernels/fake_quantize.h"
#include "qat/ir/range_search.h"
#include "qat/ops/shared/fake_quantize.h"

namespace simaqat::ops {
namespace {

// The scale of a weight's quantizer: each channel's largest magnitude over qmax, or, for
// "channel_mse", what fits the channel best.

void infer(InferContext& c) {
  c.setOutput(0, c.input(0).element,
              toShape(scaleDims(c.node.attributes<QuantizerSpec>(), c.input(0).dims())));
}

void evaluate(const EvalContext& c) {
  const auto& spec = c.node.attributes<QuantizerSpec>();
  const ChannelLayout layout = channelLayout(c.in(0), c.out().size, spec);
  float* scale = c.out().data<float>();
  kernels::channelAbsMax(c.in(0).data<float>(), layout.outer, layout.channels, layout.inner, scale,
                         c.pool);
  const bool searches = spec.observer == "channel_mse";
  c.pool.run(layout.channels, [&](int64_t ch, int) {
    scale[ch] = scaleFromMaxAbs(spec, scale[ch]);  // the channel's largest magnitude until here
    if (!searches) return;
    scale[ch] = scaleOfLeastError(spec, c.in(0).data<float>() + ch * layout.inner, layout.outer,
                                  layout.channels * layout.inner, layout.inner, scale[ch]);
  });
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
