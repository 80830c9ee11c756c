#include "kernels/softmax_cross_entropy.h"
#include "qat/ops/shared/gradient_nodes.h"
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
      for (int64_t i = 0; i < size; ++i) sum += std::exp(x[i * stride] - largest);
      const T logarithm = std::log(sum);
      for (int64_t i = 0; i < size; ++i) y[i * stride] = x[i * stride] - largest - logarithm;
    });
  });
}

void kernel(const EvalContext& c) {
  const AxisSplit split(c.node, c.node.attributes<SoftmaxAttributes>().axis, c.in(0).dims);
  kernels::logSoftmax(c.in(0).data<float>(), split.outer, split.size, split.inner,
                      c.out().data<float>(), c.pool);
}

// dx = dy - exp(y) sum(dy)
void gradient(GradientContext& c) {
  Value* share = gradientTimes(c, sumOverAxis(c, c.outputGradient()), c.add("Exp", {c.output()}));
  c.setInputGradient(0, c.add("Sub", {c.outputGradient(), share}));
}

}  // namespace

OpDefinition defineLogSoftmax() {
  OpDefinition op;
  op.name = "LogSoftmax";
  op.make_attributes = &makeAttributes<SoftmaxAttributes>;
  op.infer = inferSoftmax;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kComputes;
  op.upgrade = upgradeSoftmax;
  op.downgrade = downgradeSoftmax;
  op.examples = softmaxExamples;
  return op;
}

}  // namespace simaqat::ops
