#include "qat/ops/shared/cross_entropy.h"

namespace simaqat::ops {
namespace {

void evaluate(const EvalContext& c) {
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    labelLoss(c, CrossEntropyShape(c.in(kScores).dims), c.in(kScores).data<T>());
  });
}

void gradient(GradientContext& c) {
  if (!c.wants(kScores)) return;
  c.setInputGradient(
      kScores, c.add("simaqat::NegativeLogLikelihoodGradient",
                     {c.outputGradient(), c.input(kScores), c.input(kLabels), c.input(kWeights)},
                     c.node.attributes<CrossEntropyAttributes>()));
}

}  // namespace

OpDefinition defineNegativeLogLikelihoodLoss() {
  OpDefinition op;
  op.name = "NegativeLogLikelihoodLoss";
  op.first_opset = 12;
  op.min_inputs = 2;
  op.max_inputs = 3;
  op.make_attributes = &makeAttributes<CrossEntropyAttributes>;
  op.infer = inferLabelLoss;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.setting_inputs = {2};
  op.examples = labelLossExamples;
  return op;
}

}  // namespace simaqat::ops
