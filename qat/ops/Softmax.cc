#include "qat/ops/shared/softmax.h"

namespace simaqat::ops {
namespace {

void evaluate(const EvalContext& c) {
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    forEachLine(c, [&](int64_t first, int64_t size, int64_t stride) {
      const T* x = c.in(0).data<T>() + first;
      T* y = c.out().data<T>() + first;
      const T largest = largestOf(x, size, stride);
      T sum = 0;
      for (int64_t i = 0; i < size; ++i) {
        y[i * stride] = std::exp(x[i * stride] - largest);
        sum += y[i * stride];
      }
      for (int64_t i = 0; i < size; ++i) y[i * stride] /= sum;
    });
  });
}

// dx = y (dy - sum(dy y))
void gradient(GradientContext& c) {
  Value* product = c.add("Mul", {c.outputGradient(), c.output()});
  Value* centred = c.add("Sub", {c.outputGradient(), sumOverAxis(c, product)});
  c.setInputGradient(0, c.add("Mul", {c.output(), centred}));
}

}  // namespace

OpDefinition defineSoftmax() {
  OpDefinition op;
  op.name = "Softmax";
  op.make_attributes = &makeAttributes<SoftmaxAttributes>;
  op.infer = inferSoftmax;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.in_place = {{0, 0}};
  op.quantization.output = OutputQuantization::kComputes;
  op.quantization.fixed = ScaleAndZeroPoint{1.0f / 256, 0};
  op.upgrade = upgradeSoftmax;
  op.downgrade = downgradeSoftmax;
  op.examples = softmaxExamples;
  return op;
}

}  // namespace simaqat::ops
