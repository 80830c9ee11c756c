// What Dropout and its gradient share.
#pragma once

#include "qat/ops/shared/broadcast.h"

namespace simaqat::ops {

struct DropoutMode {
  bool training = false;
  double ratio = 0.5;

  // From inputs that may be absent.
  DropoutMode(const EvalContext& c, size_t ratio_input, size_t training_input) {
    training = c.hasIn(training_input) && c.in(training_input).data<bool>()[0];
    if (!c.hasIn(ratio_input)) return;
    const TensorView& input = c.in(ratio_input);
    visitFloat(c, input.type,
               [&](auto tag) { ratio = static_cast<double>(input.data<decltype(tag)>()[0]); });
  }
  // What the kept elements are multiplied by.
  double scale() const {
    if (!training) return 1;
    return ratio < 1 ? 1 / (1 - ratio) : 0;
  }
};

}  // namespace simaqat::ops
