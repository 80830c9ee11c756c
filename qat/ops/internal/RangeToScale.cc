#include "qat/ops/shared/fake_quantize.h"

namespace simaqat::ops {
namespace {

// Scale and zero point (as a float) from the two ends of a range.

void infer(InferContext& c) {
  for (size_t i = 0; i < 2; ++i) c.setOutput(i, c.input(0).element, c.input(0).shape);
}

void evaluate(const EvalContext& c) {
  const ScaleAndZeroPoint parameters = scaleFromRange(
      c.node.attributes<QuantizerSpec>(), *c.in(0).data<float>(), *c.in(1).data<float>());
  *c.out(0).data<float>() = parameters.scale;
  *c.out(1).data<float>() = static_cast<float>(parameters.zero_point);
}

}  // namespace

OpDefinition defineRangeToScale() {
  OpDefinition op;
  op.name = "RangeToScale";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 2;
  op.min_outputs = op.max_outputs = 2;
  op.make_attributes = &makeAttributes<QuantizerSpec>;
  op.infer = infer;
  op.evaluate = evaluate;
  return op;
}

}  // namespace simaqat::ops
