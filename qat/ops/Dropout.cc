#include "qat/ops/shared/dropout.h"

#include "qat/ops/shared/constants.h"
#include "qat/ops/shared/examples.h"

namespace simaqat::ops {
namespace {

enum Input { kData, kRatio, kTrainingMode };

struct DropoutAttributes {
  // Another tool's: the seed of the run, the node's name and the step choose the numbers here.
  std::optional<int64_t> seed;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("seed", self.seed);
  }
};

void infer(InferContext& c) {
  c.expectElement(kTrainingMode, ElementType::kBool);
  c.setOutput(0, c.input(kData).element, c.input(kData).shape);
  c.setOutput(1, ElementType::kBool, c.input(kData).shape);
}

void evaluate(const EvalContext& c) {
  const DropoutMode mode(c, kRatio, kTrainingMode);
  const RandomStream random = c.random();
  bool* mask = c.outputs.size() > 1 && c.out(1).present() ? c.out(1).data<bool>() : nullptr;
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* x = c.in(kData).data<T>();
    T* y = c.out().data<T>();
    const T scale = static_cast<T>(mode.scale());
    c.pool.runRanges(c.out().size, kElementwiseGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const bool kept = !mode.training || random.uniform(static_cast<uint64_t>(i)) >= mode.ratio;
        y[i] = kept ? x[i] * scale : T{0};
        if (mask != nullptr) mask[i] = kept;
      }
    });
  });
}

void gradient(GradientContext& c) {
  SIMAQAT_CHECK(c.node.output(1) != nullptr, "{} keeps no mask", c.node.describe());
  c.setInputGradient(
      kData, c.add("simaqat::DropoutGradient",
                   {c.outputGradient(), c.output(1), c.input(kRatio), c.input(kTrainingMode)}));
}

// Puts the node's input in its place, or tells it to drop nothing where the mask is used.
void switchOff(Graph& graph, Node& node) {
  if (node.output(1) != nullptr && graph.useCount(node.output(1)) > 0) {
    node.setInput(kTrainingMode, nullptr);
    return;
  }
  graph.replaceUses(node.output(), node.input(kData));
  graph.removeNode(&node);
}

// Backward needs the mask.
void addMask(Graph& graph, Node& node) {
  Graph::NodeOptions options;
  options.before = &node;
  options.output_count = 2;
  Node* twin =
      graph.addNode("Dropout", node.name(), node.inputs(), node.rawAttributes().clone(), options);
  const std::string name = node.output()->name();
  graph.rename(node.output(), name + "/unused");
  graph.rename(twin->output(), name);
  graph.replaceUses(node.output(), twin->output());
  graph.removeNode(&node);
}

void specialize(Graph& graph, Node& node, const Specialization& to) {
  const bool drops =
      node.input(kTrainingMode) != nullptr && constantScalar(node, kTrainingMode) != 0.0;
  if (to.mode != Mode::kTrain || !drops) {
    switchOff(graph, node);
  } else if (node.output(1) == nullptr) {
    addMask(graph, node);
  }
}

void upgrade(PortableNode& node, int opset) {
  if (opset >= 12) return;
  float ratio = 0.5f;
  if (const auto it = node.attributes.find("ratio"); it != node.attributes.end()) {
    const float* number = std::get_if<float>(&it->second);
    if (number == nullptr) node.fail("attribute 'ratio' is not a number");
    ratio = *number;
    node.attributes.erase(it);
  }
  // Before opset 12 nothing in the file said whether it drops: in training it did.
  node.inputs.resize(3);
  node.inputs[kRatio] = node.add_constant("ratio", Tensor::scalar<float>(ratio));
  node.inputs[kTrainingMode] = node.add_constant("training_mode", Tensor::scalar<bool>(true));
}

std::vector<OpExample> examples() {
  const Tensor ratio = Tensor::scalar<double>(0.4);
  std::vector<OpExample> list = {
      {"training", {}, {exampleTensor({4, 6}), ratio, Tensor::scalar<bool>(true)}},
      {"default ratio", {}, {exampleTensor({4, 6}), Tensor(), Tensor::scalar<bool>(true)}},
      {"off", {}, {exampleTensor({4, 6}), ratio, Tensor::scalar<bool>(false)}},
      {"off by default", {}, {exampleTensor({4, 6})}},
  };
  for (OpExample& example : list) {
    example.output_count = 2;
    example.differentiate = {kData};
  }
  return list;
}

}  // namespace

OpDefinition defineDropout() {
  OpDefinition op;
  op.name = "Dropout";
  op.first_opset = 7;
  op.max_inputs = 3;
  op.max_outputs = 2;
  op.make_attributes = &makeAttributes<DropoutAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.setting_inputs = {1, 2};
  op.in_place = {{0, 0}};
  op.random = true;
  op.specialize = specialize;
  op.quantization.output = OutputQuantization::kTransparent;
  op.upgrade = upgrade;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
