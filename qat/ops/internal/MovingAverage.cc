#include "qat/ops/shared/broadcast.h"

namespace simaqat::ops {
namespace {

// The average of a variable after a step, from (average, the variable's new value, decay):
// average + (1 - decay) * (value - average). Updates in place.

constexpr int64_t kTile = 1 << 16;

void infer(InferContext& c) { c.setOutput(0, c.input(0).element, c.input(0).shape); }

void evaluate(const EvalContext& c) {
  const auto* average = c.in(0).data<float>();
  const auto* value = c.in(1).data<float>();
  const float share = 1 - *c.in(2).data<float>();
  auto* result = c.out().data<float>();
  c.pool.run((c.out().size + kTile - 1) / kTile, [&](int64_t tile, int) {
    const int64_t end = std::min(c.out().size, (tile + 1) * kTile);
    for (int64_t i = tile * kTile; i < end; ++i) {
      result[i] = average[i] + share * (value[i] - average[i]);
    }
  });
}

}  // namespace

OpDefinition defineMovingAverage() {
  OpDefinition op;
  op.name = "MovingAverage";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 3;
  op.infer = infer;
  op.evaluate = evaluate;
  op.in_place = {{0, 0}};
  op.commits = true;
  return op;
}

}  // namespace simaqat::ops
