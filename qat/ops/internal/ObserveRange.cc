#include "kernels/fake_quantize.h"
#include "qat/ops/shared/fake_quantize.h"
#include "qat/ops/shared/observe_range.h"

namespace simaqat::ops {
namespace {

// The range after a batch x, from (x, range_min, range_max).

void infer(InferContext& c) {
  for (size_t i = 0; i < 2; ++i) c.setOutput(i, c.input(1).element, c.input(1).shape);
}

void evaluate(const EvalContext& c) {
  float lo = 0;
  float hi = 0;
  kernels::minMax(c.in(0).data<float>(), c.in(0).size, &lo, &hi, c.pool);
  observe(c.node.attributes<QuantizerSpec>(), lo, hi, *c.in(1).data<float>(),
          *c.in(2).data<float>(), *c.out(0).data<float>(), *c.out(1).data<float>());
}

}  // namespace

OpDefinition defineObserveRange() {
  OpDefinition op;
  op.name = "ObserveRange";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 3;
  op.min_outputs = op.max_outputs = 2;
  op.make_attributes = &makeAttributes<QuantizerSpec>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.pointwise.fused_form = "simaqat::PointwiseObserveRange";
  return op;
}

}  // namespace simaqat::ops
