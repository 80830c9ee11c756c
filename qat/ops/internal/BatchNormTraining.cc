#include "qat/ops/shared/batch_norm.h"
#include "qat/ops/shared/examples.h"

namespace simaqat::ops {
namespace {

// BatchNormalization with the batch's statistics. Outputs: y, the running mean and variance after
// the step, and for backward the batch's mean and 1 / sqrt(var + epsilon).

void infer(InferContext& c) {
  checkBatchNormInputs(c);
  c.setOutput(0, c.input(0).element, c.input(0).shape);
  for (size_t i = 1; i < 5; ++i) c.setOutput(i, c.input(3).element, c.input(3).shape);
}

void evaluate(const EvalContext& c) {
  const auto& a = c.node.attributes<BatchNormTrainingAttributes>();
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const kernels::BatchNormShape s = batchNormShape(c.in(0));
    const T* x = c.in(0).data<T>();
    const double count = static_cast<double>(s.batch * s.inner);
    for (int64_t ch = 0; ch < s.channels; ++ch) {
      double sum = 0;
      forEachInChannel(s, ch, [&](int64_t i) { sum += x[i]; });
      const double mean = sum / count;
      double squares = 0;
      forEachInChannel(s, ch, [&](int64_t i) { squares += (x[i] - mean) * (x[i] - mean); });
      const double inv_std = 1 / std::sqrt(squares / count + a.epsilon);
      T* y = c.out().data<T>();
      const double gamma = c.in(1).data<T>()[ch];
      const double beta = c.in(2).data<T>()[ch];
      forEachInChannel(s, ch, [&](int64_t i) {
        y[i] = static_cast<T>((x[i] - mean) * inv_std * gamma + beta);
      });
      c.out(2).data<T>()[ch] = static_cast<T>(squares / count);
      c.out(3).data<T>()[ch] = static_cast<T>(mean);
      c.out(4).data<T>()[ch] = static_cast<T>(inv_std);
    }
    updateRunning<T>(c, s, c.out(3).data<T>(), c.out(2).data<T>(), c.out(1).data<T>());
  });
}

void kernel(const EvalContext& c) {
  const kernels::BatchNormShape s = batchNormShape(c.in(0));
  kernels::batchNormTrain(s, c.in(0).data<float>(), c.in(1).data<float>(), c.in(2).data<float>(),
                          c.node.attributes<BatchNormTrainingAttributes>().epsilon,
                          c.out(0).data<float>(), c.out(3).data<float>(), c.out(4).data<float>(),
                          c.out(2).data<float>(), c.pool);
  updateRunning<float>(c, s, c.out(3).data<float>(), c.out(2).data<float>(),
                       c.out(1).data<float>());
}

void gradient(GradientContext& c) {
  const std::vector<Value*> results =
      c.addMany("simaqat::BatchNormTrainingGradient",
                {c.outputGradient(), c.factor(c.input(0)), c.input(1), c.factor(c.output(3)),
                 c.factor(c.output(4))},
                3);
  for (size_t i = 0; i < 3; ++i) {
    if (c.wants(i)) c.setInputGradient(i, results[i]);
  }
}

std::vector<OpExample> examples() {
  std::vector<OpExample> all;
  all.emplace_back("images", AttributeMap{{"epsilon", 1e-3f}},
                   std::vector<Tensor>{exampleTensor({3, 2, 4, 2}), exampleTensor({2}, 2, 0.5, 2),
                                       exampleTensor({2}, 3), exampleTensor({2}, 4),
                                       exampleTensor({2}, 5, 0.5, 2)});
  all.back().output_count = 5;
  all.back().differentiate = {0, 1, 2};
  return all;
}

}  // namespace

OpDefinition defineBatchNormTraining() {
  OpDefinition op;
  op.name = "BatchNormTraining";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 5;
  op.min_outputs = op.max_outputs = 5;
  op.make_attributes = &makeAttributes<BatchNormTrainingAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.gradient = gradient;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
