#include "qat/ops/shared/quantize_codes.h"

namespace simaqat::ops {
namespace {

// An activation as its codes, q(x), from (x, scale, zero_point). The second output is the scale
// again, or NaN where an x was NaN, which no code tells: what is computed from the codes is then
// NaN too. The third, where there is one, is the mask of what FakeQuantizeGradient lets pass.

void infer(InferContext& c) { inferCodes(c, c.input(1), c.input(0).shape); }

void evaluate(const EvalContext& c) {
  const auto& spec = c.node.attributes<QuantizerSpec>();
  const float* x = c.in(0).data<float>();
  CodeSink sink(c, spec, *c.in(1).data<float>(), *c.in(2).data<float>());
  c.pool.runRanges(c.in(0).size, kElementwiseGrain, [&](int64_t begin, int64_t end) {
    sink.put(begin, x + begin, end - begin);
  });
  *c.out(kCodesScale).data<float>() = sink.checkedScale();
}

}  // namespace

OpDefinition defineQuantize() {
  OpDefinition op;
  op.name = "Quantize";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 3;
  op.min_outputs = kCodesMask;
  op.max_outputs = kCodesOutputs;
  op.make_attributes = &makeAttributes<QuantizerSpec>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.pointwise.fused_form = "simaqat::PointwiseQuantize";
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
