#include "qat/ops/shared/quantize_codes.h"

namespace simaqat::ops {
namespace {

// An activation as its codes, q(x), from (x, scale, zero_point). The second output is the scale
// again, or NaN where an x was NaN, which no code tells: what is computed from the codes is then NaN
// too.

void infer(InferContext& c) {
  c.setOutput(0, ElementType::kUint8, c.input(0).shape);
  c.setOutput(1, c.input(1).element, c.input(1).shape);
}

void evaluate(const EvalContext& c) {
  const auto& spec = c.node.attributes<QuantizerSpec>();
  const float* x = c.in(0).data<float>();
  CodeSink sink(spec, *c.in(1).data<float>(), *c.in(2).data<float>(), c.out(0).data<uint8_t>());
  c.pool.runRanges(c.in(0).size, kElementwiseGrain, [&](int64_t begin, int64_t end) {
    sink.put(begin, x + begin, end - begin);
  });
  *c.out(1).data<float>() = sink.checkedScale();
}

}  // namespace

OpDefinition defineQuantize() {
  OpDefinition op;
  op.name = "Quantize";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 3;
  op.min_outputs = op.max_outputs = 2;
  op.make_attributes = &makeAttributes<QuantizerSpec>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.pointwise.fused_form = "simaqat::PointwiseQuantize";
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
