#include "qat/ops/shared/fake_quantize.h"

namespace simaqat::ops {
namespace {

// The zero point of a learned offset, from (scale, offset).

void infer(InferContext& c) { c.setOutput(0, c.input(0).element, c.input(0).shape); }

void evaluate(const EvalContext& c) {
  *c.out().data<float>() = zeroPointOfOffset(c.node.attributes<QuantizerSpec>(),
                                             *c.in(0).data<float>(), *c.in(1).data<float>());
}

}  // namespace

OpDefinition defineOffsetToZeroPoint() {
  OpDefinition op;
  op.name = "OffsetToZeroPoint";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 2;
  op.make_attributes = &makeAttributes<QuantizerSpec>;
  op.infer = infer;
  op.evaluate = evaluate;
  return op;
}

}  // namespace simaqat::ops
