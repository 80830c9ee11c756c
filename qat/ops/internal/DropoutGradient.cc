#include "qat/ops/shared/dropout.h"

namespace simaqat::ops {
namespace {

// dx of Dropout, from inputs (dy, mask, ratio, training_mode); the last two may be absent.
void evaluate(const EvalContext& c) {
  const double scale = DropoutMode(c, 2, 3).scale();
  const bool* mask = c.in(1).data<bool>();
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* dy = c.in(0).data<T>();
    T* dx = c.out().data<T>();
    c.pool.runRanges(c.out().size, kElementwiseGrain, [&](int64_t begin, int64_t end) {
      const T factor = static_cast<T>(scale);
      for (int64_t i = begin; i < end; ++i) dx[i] = mask[i] ? dy[i] * factor : T{0};
    });
  });
}

}  // namespace

OpDefinition defineDropoutGradient() {
  OpDefinition op;
  op.name = "DropoutGradient";
  op.domain = "simaqat";
  op.min_inputs = 2;
  op.max_inputs = 4;
  op.infer = inferSameAsInput;
  op.evaluate = evaluate;
  op.gradient_is_error = true;
  op.in_place = {{0, 0}};
  return op;
}

}  // namespace simaqat::ops
