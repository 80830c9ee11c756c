#include "qat/ops/shared/batch_norm.h"

namespace simaqat::ops {

void checkBatchNormInputs(const InferContext& c) {
  const Shape* x = c.shape(0);
  if (x == nullptr) return;
  if (x->size() < 2) c.node.fail("input 0: expected rank 2 or more, got {}", typeToString(c.input(0)));
  for (size_t i = 1; i < 5; ++i) {
    c.expectRank(i, 1);
    const Shape* parameter = c.shape(i);
    if (parameter != nullptr && (*parameter)[0].known() && (*x)[1].known() &&
        (*parameter)[0].value != (*x)[1].value) {
      c.node.fail("input {}: expected {} channels, got {}", i, (*x)[1].value, (*parameter)[0].value);
    }
  }
}

}  // namespace simaqat::ops
