#include "qat/ops/shared/cross_entropy.h"
#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gradient_nodes.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  inferLabelLoss(c);
  c.setOutput(1, c.input(kScores).element, c.input(kScores).shape);
}

template <class T>
void run(const EvalContext& c, bool fast) {
  const CrossEntropyShape s(c.in(kScores).dims);
  const bool keeps = c.outputs.size() > 1 && c.out(1).present();
  T* log_prob = keeps ? c.out(1).data<T>() : reinterpret_cast<T*>(c.workspace);
  logSoftmax(c.in(kScores).data<T>(), s, log_prob, fast, c.pool);
  labelLoss(c, s, log_prob);
}

void evaluate(const EvalContext& c) {
  visitFloat(c, c.out().type, [&](auto tag) { run<decltype(tag)>(c, false); });
}

void kernel(const EvalContext& c) { run<float>(c, true); }

int64_t workspace(const Node& node, int) {
  return node.output(1) == nullptr ? node.input(kScores)->type.bytes() : 0;
}

void gradient(GradientContext& c) {
  if (!c.wants(kScores)) return;
  Value* dx = nullptr;
  if (c.outputGradient(0) != nullptr) {
    dx = c.add("simaqat::SoftmaxCrossEntropyGradient",
               {c.outputGradient(0), c.input(kScores), c.input(kLabels), c.input(kWeights)},
               c.node.attributes<CrossEntropyAttributes>());
  }
  if (Value* dz = c.node.outputCount() > 1 ? c.outputGradient(1) : nullptr) {
    // The logarithm of softmax, z: dx = dz - exp(z) * sum over the classes of dz.
    Value* sum = c.add("ReduceSum", {dz, integers(c, {1})});
    Value* through = c.add("Sub", {dz, c.add("Mul", {c.add("Exp", {c.output(1)}), sum})});
    dx = dx == nullptr ? through : c.add("Sum", {dx, through});
  }
  c.setInputGradient(kScores, dx);
}

std::vector<OpExample> examples() {
  std::vector<OpExample> list = labelLossExamples();
  OpExample both = list.front();
  both.name = "two outputs";
  both.inputs = {exampleTensor({2, 4, 3}),
                 exampleIntegers({2, 3}, 0, 4).converted(ElementType::kInt32),
                 exampleTensor({4}, 3, 0.5, 2)};
  both.output_count = 2;
  list.push_back(both);
  return list;
}

}  // namespace

OpDefinition defineSoftmaxCrossEntropyLoss() {
  OpDefinition op;
  op.name = "SoftmaxCrossEntropyLoss";
  op.first_opset = 12;
  op.min_inputs = 2;
  op.max_inputs = 3;
  op.max_outputs = 2;
  op.make_attributes = &makeAttributes<CrossEntropyAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.workspace = workspace;
  op.gradient = gradient;
  op.setting_inputs = {2};
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
