#include "qat/ops/shared/cross_entropy.h"
#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gradient_nodes.h"

namespace simaqat::ops {
namespace {

enum Input { kScores, kLabels, kWeights };

void infer(InferContext& c) {
  const std::string& reduction = c.node.attributes<CrossEntropyAttributes>().reduction;
  if (reduction != "none" && reduction != "sum" && reduction != "mean") {
    c.node.fail("attribute 'reduction': '{}' is not known", reduction);
  }
  const ElementType labels_type = c.input(kLabels).element;
  if (labels_type != ElementType::kInt32 && labels_type != ElementType::kInt64) {
    c.node.fail("input 1: expected labels of int32 or int64, got {}",
                typeToString(c.input(kLabels)));
  }
  c.expectElement(kWeights, c.input(kScores).element);
  c.expectRank(kWeights, 1);
  const Shape* scores = c.shape(kScores);
  const Shape* labels = c.shape(kLabels);
  if (scores != nullptr && scores->size() < 2) {
    c.node.fail("input 0: expected rank 2 or more, got {}", typeToString(c.input(kScores)));
  }
  if (scores != nullptr && labels != nullptr) {
    c.expectRank(kLabels, scores->size() - 1);
    for (size_t axis = 0; axis < labels->size(); ++axis) {
      const Dim& from = (*scores)[axis == 0 ? 0 : axis + 1];
      if (from.known() && (*labels)[axis].known() && from.value != (*labels)[axis].value) {
        c.node.fail("input 1: expected labels for scores of {}, got {}", shapeToString(*scores),
                    shapeToString(*labels));
      }
    }
  }
  c.setOutput(0, c.input(kScores).element,
              reduction == "none" ? c.input(kLabels).shape : std::optional<Shape>(Shape{}));
  c.setOutput(1, c.input(kScores).element, c.input(kScores).shape);
}

template <class T>
void run(const EvalContext& c, bool fast) {
  const CrossEntropyShape s(c.in(kScores).dims);
  const bool keeps = c.outputs.size() > 1 && c.out(1).present();
  T* log_prob = keeps ? c.out(1).data<T>() : reinterpret_cast<T*>(c.workspace);
  logSoftmax(c.in(kScores).data<T>(), s, log_prob, fast, c.pool);

  const std::string& reduction = c.node.attributes<CrossEntropyAttributes>().reduction;
  const LabelReader<T> reader(c, s.classes, c.in(kLabels),
                              c.hasIn(kWeights) ? c.in(kWeights).data<T>() : nullptr);
  T* loss = c.out().data<T>();
  double sum = 0;
  double weights = 0;
  for (int64_t i = 0; i < s.outer * s.inner; ++i) {
    const int64_t label = reader.label(i);
    const T weight = reader.weight(label);
    const T own =
        label < 0 ? T{0}
                  : -weight * log_prob[(i / s.inner * s.classes + label) * s.inner + i % s.inner];
    if (reduction == "none") loss[i] = own;
    sum += static_cast<double>(own);
    weights += static_cast<double>(weight);
  }
  if (reduction == "sum") *loss = static_cast<T>(sum);
  if (reduction == "mean") *loss = static_cast<T>(sum / weights);
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
  const auto reduction = [](const char* name) {
    return AttributeMap{{"reduction", std::string(name)}};
  };
  const Tensor weights = exampleTensor({4}, 3, 0.5, 2);
  const Tensor some_ignored = Tensor::of<int64_t>({5}, {3, -100, 0, -100, 2});
  std::vector<OpExample> list = {
      {"mean", {}, {exampleTensor({5, 4}), exampleIntegers({5}, 0, 4)}},
      {"sum", reduction("sum"), {exampleTensor({5, 4}), exampleIntegers({5}, 0, 4)}},
      {"none", reduction("none"), {exampleTensor({5, 4}), exampleIntegers({5}, 0, 4)}},
      {"weights", {}, {exampleTensor({5, 4}), exampleIntegers({5}, 0, 4), weights}},
      {"ignored",
       {{"ignore_index", int64_t{-100}}},
       {exampleTensor({5, 4}), some_ignored, weights}},
      {"images",
       reduction("none"),
       {exampleTensor({2, 4, 3, 2}), exampleIntegers({2, 3, 2}, 0, 4), weights}},
      {"two outputs",
       {},
       {exampleTensor({2, 4, 3}), exampleIntegers({2, 3}, 0, 4).converted(ElementType::kInt32),
        weights}},
  };
  list.back().output_count = 2;
  for (OpExample& example : list) example.differentiate = {kScores};
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
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
