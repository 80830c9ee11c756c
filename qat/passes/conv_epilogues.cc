#include "qat/passes/conv_epilogues.h"

#include "qat/ir/op.h"
#include "qat/ops/shared/convolution_attributes.h"
#include "qat/ops/shared/quantized_conv_attributes.h"

namespace simaqat {
namespace {

constexpr size_t kConvInputs = 6;
constexpr size_t kMomentsInput = 5;  // of BatchNormStatistics

Node* convBehind(const Value* value) {
  Node* node = value->producer();
  const bool is_conv = node != nullptr && node->op().qualifiedName() == "simaqat::QuantizedConv";
  return is_conv && node->output() == value ? node : nullptr;
}

// For one convolution there may be several who ask.
Value* momentsOf(Graph& graph, Node* conv) {
  if (conv->outputCount() > 1) return conv->output(1);
  Graph::NodeOptions options;
  options.before = conv;
  options.output_count = 2;
  Node* with = graph.addNode(conv->op().qualifiedName(), conv->name(), conv->inputs(),
                             conv->rawAttributes().clone(), options);
  with->output(0)->quantizer = conv->output()->quantizer;
  graph.replaceUses(conv->output(), with->output(0));
  graph.removeNode(conv);
  return with->output(1);
}

bool isScalar(const Value* value) { return value == nullptr || value->type.size() == 1; }

// What Relu and Clip keep: the inputs behind the first, null where there is no bound.
struct Bounds {
  Value* lo = nullptr;
  Value* hi = nullptr;
};

std::optional<Bounds> boundsOf(Graph& graph, const Node& node) {
  const std::string name = node.op().qualifiedName();
  if (name == "Relu") {
    return Bounds{graph.addConstant(node.name() + "/zero", Tensor::scalar(0.0f)), nullptr};
  }
  if (name != "Clip" || !isScalar(node.input(1)) || !isScalar(node.input(2))) return std::nullopt;
  return Bounds{node.input(1), node.input(2)};
}

void quantize(Graph& graph, Node* quantize) {
  Value* value = quantize->input(0);
  Bounds bounds;
  if (convBehind(value) == nullptr) {
    const Node* activation = value->producer();
    if (activation == nullptr || graph.useCount(value) != 1) return;
    if (convBehind(activation->input(0)) == nullptr) return;
    const std::optional<Bounds> found = boundsOf(graph, *activation);
    if (!found) return;
    bounds = *found;
    value = activation->input(0);
  }
  const Node* conv = convBehind(value);
  if (graph.useCount(value) != 1 || !isScalar(quantize->input(1))) return;
  ops::QuantizingConvAttributes attributes;
  static_cast<ops::ConvAttributes&>(attributes) = conv->attributes<ops::ConvAttributes>();
  const auto& spec = quantize->attributes<QuantizerSpec>();
  attributes.qmin = spec.qmin;
  attributes.qmax = spec.qmax;
  std::vector<Value*> inputs = conv->inputs();
  inputs.resize(kConvInputs);
  inputs.insert(inputs.end(), {quantize->input(1), quantize->input(2), bounds.lo, bounds.hi});
  Graph::NodeOptions options;
  options.before = quantize;
  options.output_count = 2;
  const Node* fused = graph.addNode("simaqat::QuantizingConv", conv->name(), inputs,
                                    wrapAttributes(std::move(attributes)), options);
  for (size_t i = 0; i < 2; ++i) graph.replaceUses(quantize->output(i), fused->output(i));
  graph.removeNode(quantize);
}

}  // namespace

void useConvEpilogues(Graph& graph) {
  for (Node* node : graph.nodeSequence()) {
    const std::string name = node->op().qualifiedName();
    if (name == "simaqat::Quantize") quantize(graph, node);
    if (name != "simaqat::BatchNormStatistics") continue;
    if (Node* conv = convBehind(node->input(0)))
      node->setInput(kMomentsInput, momentsOf(graph, conv));
  }
}

}  // namespace simaqat
