#include "qat/ops/shared/softmax.h"

namespace simaqat::ops {
namespace {

// 1 where a line's first largest element stands, 0 elsewhere.
void evaluate(const EvalContext& c) {
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    forEachLine(c, [&](int64_t first, int64_t size, int64_t stride) {
      const T* x = c.in(0).data<T>() + first;
      T* y = c.out().data<T>() + first;
      int64_t largest = 0;
      for (int64_t i = 0; i < size; ++i) {
        if (x[i * stride] > x[largest * stride]) largest = i;
        y[i * stride] = T{0};
      }
      y[largest * stride] = T{1};
    });
  });
}

}  // namespace

OpDefinition defineHardmax() {
  OpDefinition op;
  op.name = "Hardmax";
  op.make_attributes = &makeAttributes<SoftmaxAttributes>;
  op.infer = inferSoftmax;
  op.evaluate = evaluate;
  op.upgrade = upgradeSoftmax;
  op.downgrade = downgradeSoftmax;
  op.examples = softmaxExamples;
  return op;
}

}  // namespace simaqat::ops
