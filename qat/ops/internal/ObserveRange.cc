#include <cmath>

#include "kernels/fake_quantize.h"
#include "qat/ops/shared/fake_quantize.h"

namespace simaqat::ops {
namespace {

// The range after a batch x, from (x, range_min, range_max): r += c * (batch - r), or the wider of
// both for "min_max", and the batch's own where nothing was observed yet.

void infer(InferContext& c) {
  for (size_t i = 0; i < 2; ++i) c.setOutput(i, c.input(1).element, c.input(1).shape);
}

void evaluate(const EvalContext& c) {
  float lo = 0;
  float hi = 0;
  kernels::minMax(c.in(0).data<float>(), c.in(0).size, &lo, &hi, c.pool);
  const float old_lo = *c.in(1).data<float>();
  const float old_hi = *c.in(2).data<float>();
  const bool first = isUnsetRange(old_lo, old_hi);
  const auto& spec = c.node.attributes<QuantizerSpec>();
  const auto moved = [&](float old, float now, bool is_wider) {
    if (first) return now;
    if (spec.observer == "min_max") return is_wider || std::isnan(now) ? now : old;
    return old + spec.averaging_constant * (now - old);
  };
  *c.out(0).data<float>() = moved(old_lo, lo, lo < old_lo);
  *c.out(1).data<float>() = moved(old_hi, hi, hi > old_hi);
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
  return op;
}

}  // namespace simaqat::ops
