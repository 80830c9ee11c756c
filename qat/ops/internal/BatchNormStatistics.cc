#include "qat/ops/shared/batch_norm.h"

namespace simaqat::ops {
namespace {

// BatchNormTraining without its y, which is (x - center) * factor + offset: elementwise operators,
// which others can be fused with. Inputs are BatchNormTraining's, and perhaps x's moments, where
// who made x had them ready (kernels/conv_results.h); outputs: center, factor and offset as [C, 1,
// ...], the running mean and variance after the step, the batch's mean and 1 / sqrt(var + epsilon),
// and the least and the greatest x of each channel as [2, C, 1, ...].

constexpr size_t kMoments = 5;

enum Output { kCenter, kFactor, kOffset, kRunningMean, kRunningVar, kMean, kInvStd, kExtremes };

void infer(InferContext& c) {
  checkBatchNormInputs(c);
  const Shape* x = c.shape(0);
  std::optional<Shape> channels;
  std::optional<Shape> extremes;
  if (x != nullptr) {
    channels = channelShape(*x);
    extremes = *channels;
    extremes->insert(extremes->begin(), Dim(2));
  }
  for (size_t i = kCenter; i <= kOffset; ++i) c.setOutput(i, c.input(0).element, channels);
  for (size_t i = kRunningMean; i <= kInvStd; ++i) {
    c.setOutput(i, c.input(3).element, c.input(3).shape);
  }
  c.setOutput(kExtremes, c.input(0).element, extremes);
}

void evaluate(const EvalContext& c) {
  const kernels::BatchNormShape s = batchNormShape(c.in(0));
  const auto out = [&](size_t i) { return c.out(i).data<float>(); };
  const auto& a = c.node.attributes<BatchNormTrainingAttributes>();
  const kernels::BatchNormLine line{out(kCenter), out(kFactor), out(kOffset)};
  const kernels::BatchNormStatistics statistics{out(kMean), out(kInvStd), out(kRunningVar),
                                                out(kExtremes), out(kExtremes) + s.channels};
  const float *gamma = c.in(1).data<float>(), *beta = c.in(2).data<float>();
  if (c.hasIn(kMoments)) {
    kernels::batchNormStatistics(s, c.in(kMoments).data<double>(), gamma, beta, a.epsilon, line,
                                 statistics);
  } else {
    kernels::batchNormStatistics(s, c.in(0).data<float>(), gamma, beta, a.epsilon, line, statistics,
                                 c.pool);
  }
  updateRunning<float>(c, s, out(kMean), out(kRunningVar), out(kRunningMean));
}

}  // namespace

OpDefinition defineBatchNormStatistics() {
  OpDefinition op;
  op.name = "BatchNormStatistics";
  op.domain = "simaqat";
  op.min_inputs = kMoments;
  op.max_inputs = kMoments + 1;
  op.min_outputs = op.max_outputs = 8;
  op.make_attributes = &makeAttributes<BatchNormTrainingAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.operations = [](const Node& node) {
    const bool is_summed = node.inputCount() > kMoments && node.input(kMoments) != nullptr;
    return is_summed ? 0.0 : 5.0 * static_cast<double>(node.input(0)->type.size());
  };
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
