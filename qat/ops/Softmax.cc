#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/softmax.h"

#include <Eigen/Core>
#include <limits>

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

// Rows by vector instructions.
void kernel(const EvalContext& c) {
  const AxisSplit split(c.node, c.node.attributes<SoftmaxAttributes>().axis, c.in(0).dims);
  if (split.inner != 1) return evaluate(c);
  c.pool.runRanges(
      split.outer, kElementwiseGrain / (split.size + 1) + 1, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          const Eigen::Map<const Eigen::ArrayXf> x(c.in(0).data<float>() + row * split.size,
                                                   split.size);
          Eigen::Map<Eigen::ArrayXf> y(c.out().data<float>() + row * split.size, split.size);
          y = (x - x.maxCoeff()).exp();
          // Eigen's exponential of minus infinity, as masks have it, is a tiny number.
          y = (y < std::numeric_limits<float>::min()).select(0.0f, y);
          y *= 1.0f / y.sum();
        }
      });
}

// dx = y (dy - sum(dy y))
void gradient(GradientContext& c) {
  Value* product = gradientTimes(c, c.outputGradient(), c.output());
  Value* centred = c.add("Sub", {c.outputGradient(), sumOverAxis(c, product)});
  c.setInputGradient(0, gradientTimes(c, centred, c.output()));
}

}  // namespace

OpDefinition defineSoftmax() {
  OpDefinition op;
  op.name = "Softmax";
  op.make_attributes = &makeAttributes<SoftmaxAttributes>;
  op.infer = inferSoftmax;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.gradient = gradient;
  op.in_place = {{0, 0}};
  op.quantization.output = OutputQuantization::kComputes;
  op.quantization.fixed_range = 1;
  op.upgrade = upgradeSoftmax;
  op.downgrade = downgradeSoftmax;
  op.examples = softmaxExamples;
  return op;
}

}  // namespace simaqat::ops
