#include "qat/passes/epilogues.h"

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

// What a Quantize may be done with: what makes the value, and the bounds between them.
struct Source {
  Node* node;
  Bounds bounds;
};

template <class Fits>
std::optional<Source> sourceOf(Graph& graph, const Node& quantize, const Fits& fits) {
  const Value* value = quantize.input(0);
  Node* node = value->producer();
  if (node == nullptr || graph.useCount(value) != 1 || !isScalar(quantize.input(1))) {
    return std::nullopt;
  }
  if (fits(value)) return Source{node, {}};
  value = node->input(0);
  if (value == nullptr || !fits(value) || graph.useCount(value) != 1) return std::nullopt;
  const std::optional<Bounds> bounds = boundsOf(graph, *node);
  if (!bounds) return std::nullopt;
  return Source{value->producer(), *bounds};
}

void replace(Graph& graph, Node* quantize, const char* op, std::vector<Value*> inputs,
             const Source& source, std::unique_ptr<Attributes> attributes) {
  inputs.insert(inputs.end(),
                {quantize->input(1), quantize->input(2), source.bounds.lo, source.bounds.hi});
  Graph::NodeOptions options;
  options.before = quantize;
  options.output_count = 2;
  const Node* fused =
      graph.addNode(op, source.node->name(), inputs, std::move(attributes), options);
  for (size_t i = 0; i < 2; ++i) graph.replaceUses(quantize->output(i), fused->output(i));
  graph.removeNode(quantize);
}

void quantizeInConv(Graph& graph, Node* quantize, const Source& source) {
  ops::QuantizingConvAttributes attributes;
  static_cast<ops::ConvAttributes&>(attributes) = source.node->attributes<ops::ConvAttributes>();
  const auto& spec = quantize->attributes<QuantizerSpec>();
  attributes.qmin = spec.qmin;
  attributes.qmax = spec.qmax;
  std::vector<Value*> inputs = source.node->inputs();
  inputs.resize(kConvInputs);
  replace(graph, quantize, "simaqat::QuantizingConv", inputs, source,
          wrapAttributes(std::move(attributes)));
}

// Whether it is a Normalize whose lines are those of axis 1.
bool isChannelwise(const Value* value) {
  const Node* node = value->producer();
  if (node == nullptr || node->op().qualifiedName() != "simaqat::Normalize") return false;
  const TensorType& x = node->input(0)->type;
  if (!x.isStatic() || x.rank() < 2 || x.element != ElementType::kFloat) return false;
  std::vector<int64_t> line(x.rank() - 1, 1);
  line[0] = x.dims()[1];
  for (size_t i = 1; i < 4; ++i) {
    const TensorType& type = node->input(i)->type;
    if (!type.isStatic()) return false;
    std::vector<int64_t> dims = type.dims();
    if (dims.size() == x.rank() && dims[0] == 1) dims.erase(dims.begin());
    if (dims != line) return false;
  }
  return true;
}

void quantize(Graph& graph, Node* quantize) {
  const auto is_conv = [](const Value* value) { return convBehind(value) != nullptr; };
  if (const auto conv = sourceOf(graph, *quantize, is_conv)) {
    quantizeInConv(graph, quantize, *conv);
  } else if (const auto line = sourceOf(graph, *quantize, isChannelwise)) {
    replace(graph, quantize, "simaqat::NormalizeQuantize", line->node->inputs(), *line,
            quantize->rawAttributes().clone());
  }
}

}  // namespace

void useEpilogues(Graph& graph) {
  for (Node* node : graph.nodeSequence()) {
    const std::string name = node->op().qualifiedName();
    if (name == "simaqat::Quantize") quantize(graph, node);
    if (name != "simaqat::BatchNormStatistics") continue;
    if (Node* conv = convBehind(node->input(0)))
      node->setInput(kMomentsInput, momentsOf(graph, conv));
  }
}

}  // namespace simaqat
