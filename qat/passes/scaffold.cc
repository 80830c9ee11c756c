#include "qat/passes/scaffold.h"

#include <algorithm>
#include <unordered_map>

#include "qat/ir/op.h"
#include "qat/ir/range_search.h"
#include "qat/passes/fake_quantized.h"
#include "qat/passes/integer_forms.h"
#include "qat/passes/onnxruntime_kernels.h"
#include "qat/passes/pass.h"
#include "qat/passes/pattern.h"
#include "qat/passes/regions.h"
#include "qat/passes/stored.h"

namespace simaqat {
namespace {

// Where one use is all there is, that node; else null.
Node* soleConsumer(const Graph& graph, const Value* value) {
  return graph.useCount(value) == 1 && value->uses().size() == 1 ? value->uses()[0].node : nullptr;
}

// kComputes too where a node that may share does not.
OutputQuantization outputOf(const Node& node) {
  const OutputQuantization output = node.op().quantization.output;
  return output == OutputQuantization::kShares && !sharesQuantizer(node)
             ? OutputQuantization::kComputes
             : output;
}

bool computes(const Value* value) {
  return value->producer() != nullptr &&
         outputOf(*value->producer()) == OutputQuantization::kComputes;
}

// What stands for an operator at the model's inputs.
constexpr char kInput[] = "input";

template <class T>
void take(std::optional<T>& to, const std::optional<T>& from) {
  if (from) to = from;
}

class Scaffolder {
 public:
  Scaffolder(Graph& graph, const ScaffoldOptions& options)
      : graph_(graph), options_(options), inside_(insideFunctions(graph)) {}

  std::vector<PlacementEntry> run() {
    const std::vector<Node*> nodes = graph_.nodeSequence();
    checkOverrides(nodes);
    for (Value* input : std::vector<Value*>(graph_.inputs)) {
      if (input->type.element == ElementType::kFloat) placeInput(input, nodes);
    }
    for (Node* node : nodes) place(node);
    return std::move(entries_);
  }

 private:
  // What the recipe says of an activation or a weight.
  QuantizerChoice choice(const std::string& op_type, const std::string& name,
                         QuantizerChoice QuantizationOverride::*member,
                         QuantizerChoice result) const {
    for (const QuantizationOverride& rule : options_.overrides) {
      if (matches(op_type, name, rule)) result.update(rule.*member);
    }
    return result;
  }
  QuantizerChoice activationChoice(const Node& node) const {
    return choice(node.opType(), node.name(), &QuantizationOverride::activation,
                  options_.activation);
  }
  QuantizerChoice weightChoice(const Node& node) const {
    return choice(node.opType(), node.name(), &QuantizationOverride::weight, options_.weight);
  }

  bool wanted(const Node& node) const { return activationChoice(node).quantize.value_or(true); }
  bool weightWanted(const Node& node) const { return weightChoice(node).quantize.value_or(true); }

  static bool matches(const std::string& op_type, const std::string& name,
                      const QuantizationOverride& rule) {
    return (rule.op_type.empty() ? op_type != kInput : rule.op_type == op_type) &&
           (rule.node.empty() || matchesPattern(name, rule.node));
  }

  void checkOverrides(const std::vector<Node*>& nodes) const {
    for (const QuantizationOverride& rule : options_.overrides) {
      const auto matches_node = [&](const Node* node) {
        return matches(node->opType(), node->name(), rule);
      };
      const auto matches_input = [&](const Value* input) {
        return matches(kInput, input->name(), rule);
      };
      if (std::none_of(nodes.begin(), nodes.end(), matches_node) &&
          std::none_of(graph_.inputs.begin(), graph_.inputs.end(), matches_input)) {
        throw inputError("the recipe's override of{}{} matches no node",
                         rule.op_type.empty() ? "" : fmt::format(" op_type '{}'", rule.op_type),
                         rule.node.empty() ? "" : fmt::format(" node '{}'", rule.node));
      }
    }
  }

  void placeInput(Value* input, const std::vector<Node*>& nodes) {
    const QuantizerChoice asked =
        choice(kInput, input->name(), &QuantizationOverride::activation, options_.activation);
    PlacementEntry entry{input->name(), kInput, "", "", ""};
    if (!asked.quantize.value_or(true)) {
      entry.reason = "off by the recipe";
    } else if (staysInFloat(asked) && !feedsIntegerKernel(input)) {
      entry.reason = "ONNX Runtime uses it in float";
    } else {
      Node* first = nodes.empty() ? nullptr : nodes.front();
      entry.output = quantizeValue(input, activationSpec(asked), std::nullopt, first)->spec.toString();
    }
    entries_.push_back(std::move(entry));
  }

  // Where integer kernels alone count, unless an override wants the value quantized.
  bool staysInFloat(const QuantizerChoice& asked) const {
    return options_.only_integer_kernels && !asked.quantize.value_or(false);
  }

  void place(Node* node) {
    PlacementEntry entry{node->name(), node->opType(), "", "", ""};
    const bool is_wanted = wanted(*node);
    if (weightWanted(*node)) entry.weight = quantizeWeight(node);
    Value* value = node->output();
    if (value->type.element != ElementType::kFloat) {
      entry.reason = elementTypeName(value->type.element);
    } else if (!is_wanted) {
      entry.reason = "off by the recipe";
    } else {
      entry.reason = placeOutput(node, value);
      if (entry.reason.empty()) {
        SIMAQAT_CHECK(quantized_.count(value) != 0);
        entry.output = quantized_.at(value)->spec.toString();
      }
    }
    entries_.push_back(std::move(entry));
  }

  // Returns the reason for no quantizer, or "".
  std::string placeOutput(Node* node, Value* value) {
    const QuantizationTraits& traits = node->op().quantization;
    const OutputQuantization output = outputOf(*node);
    if (const auto inside = inside_.find(node); inside != inside_.end()) {
      return fmt::format("part of the function that ends in {}", inside->second->describe());
    }
    switch (output) {
      case OutputQuantization::kNever:
        return "stays float";
      case OutputQuantization::kTransparent:
        return "passes its input on";
      case OutputQuantization::kShares:
        for (Value* moved : node->outputs()) moved->quantizer = node->input(0)->quantizer;
        return value->quantizer == nullptr ? "its input is float" : "shares its input's";
      case OutputQuantization::kComputes:
      case OutputQuantization::kConcat:
        break;
    }
    if (const Node* consumer = soleConsumer(graph_, value)) {
      if (fuses(traits, *consumer, value) && wanted(*consumer)) {
        return fmt::format("fused with {}", consumer->describe());
      }
      if (output == OutputQuantization::kComputes && quantizedBehind(*consumer)) {
        return fmt::format("quantized behind {}", consumer->describe());
      }
    }
    const QuantizerChoice asked = activationChoice(*node);
    if (staysInFloat(asked) && !hasIntegerKernel(*node) && !feedsIntegerKernel(value)) {
      return "ONNX Runtime makes and uses it in float";
    }
    QuantizerSpec spec = activationSpec(asked);
    if (traits.upper_bound != nullptr) spec.upper_bound = traits.upper_bound(*node);
    std::optional<ScaleAndZeroPoint> fixed;
    if (traits.fixed_range > 0 && !asked.observer) fixed = scaleOfUnit(spec, traits.fixed_range);
    quantizeValue(value, std::move(spec), fixed, nullptr);
    return "";
  }

  static bool fuses(const QuantizationTraits& traits, const Node& consumer, const Value* value) {
    if (consumer.input(0) != value) return false;
    if (consumer.op().qualifiedName() == "BatchNormalization") return traits.fuses_batch_norm;
    const auto is_activation = consumer.op().quantization.is_activation;
    return traits.fuses_activation && is_activation != nullptr && is_activation(consumer);
  }

  // A Concat all of whose inputs are computed for it alone: fake quantization commutes with it.
  bool quantizedBehind(const Node& consumer) const {
    if (consumer.op().quantization.output != OutputQuantization::kConcat || !wanted(consumer)) {
      return false;
    }
    return std::all_of(consumer.inputs().begin(), consumer.inputs().end(), [&](const Value* v) {
      return soleConsumer(graph_, v) == &consumer && computes(v) && wanted(*v->producer());
    });
  }

  // The parameters' variables, a Quantizer, and the node behind `value` (or in front of `before`).
  Quantizer* quantizeValue(Value* value, QuantizerSpec spec,
                           const std::optional<ScaleAndZeroPoint>& fixed, Node* before) {
    const std::string name = value->name();
    if (fixed) spec.observer = "fixed";
    std::vector<int64_t> dims;
    if (spec.perChannel()) {
      const std::vector<int64_t> weight = value->type.dims();
      dims.assign(weight.size(), 1);
      dims[static_cast<size_t>(spec.axis)] = weight[static_cast<size_t>(spec.axis)];
    }
    const auto parameter = [&](const char* suffix, VariableRole role, float number) {
      Tensor tensor(ElementType::kFloat,
                    role == VariableRole::kObserverRange ? std::vector<int64_t>{} : dims);
      std::fill_n(tensor.mutableData<float>(), tensor.size(), number);
      return graph_.addVariable(name + "/" + suffix, role, std::move(tensor))->source;
    };
    const float scale = fixed ? fixed->scale : spec.learnsScale() ? kUnsetScale : 1.0f;
    std::vector<Value*> inputs = {value};
    inputs.push_back(parameter("scale", VariableRole::kQuantizerScale, scale));
    inputs.push_back(parameter("zero_point", VariableRole::kQuantizerScale,
                               fixed ? static_cast<float>(fixed->zero_point) : 0.0f));
    if (spec.observesRange()) {
      inputs.push_back(parameter("range_min", VariableRole::kObserverRange, kUnsetMin));
      inputs.push_back(parameter("range_max", VariableRole::kObserverRange, kUnsetMax));
    }
    if (spec.usesHistogram()) {
      inputs.push_back(graph_.addVariable(name + "/histogram", VariableRole::kObserverRange,
                                          Tensor(ElementType::kFloat, {kHistogramBins}))->source);
      inputs.push_back(parameter("histogram_limit", VariableRole::kObserverRange, 0));
    }
    if (spec.learnsOffset()) {
      inputs.resize(kFakeQuantizeOffset);
      inputs.push_back(parameter("offset", VariableRole::kQuantizerScale, 0));
    }
    if (spec.learnsScale()) inputs[kFakeQuantizeScale]->variable->trainable = true;
    if (spec.learnsOffset()) inputs[kFakeQuantizeOffset]->variable->trainable = true;
    if (before == nullptr) before = nodeBehind(value);
    Graph::NodeOptions node_options;
    node_options.before = before;
    node_options.output_names = {name + "/fake_quantize"};
    Node* node = graph_.addNode("simaqat::FakeQuantize", name + "/fake_quantize", inputs,
                                wrapAttributes(spec), node_options);
    const bool leaves = graph_.isOutput(value) && !spec.is_weight;
    if (spec.is_weight) {
      replaceWeightUses(value, node);
    } else {
      graph_.replaceUses(value, node->output(), node);
    }
    if (leaves) {
      graph_.rename(value, name + "/raw");
      graph_.rename(node->output(), name);
    }
    Quantizer* quantizer = graph_.addQuantizer(name, std::move(spec));
    quantizer->scale = inputs[1];
    quantizer->zero_point = inputs[2];
    node->output()->quantizer = quantizer;
    quantized_[value] = quantizer;
    return quantizer;
  }

  // A tied weight may serve other purposes: a Gather takes rows of the same table, in front of the
  // quantizer or behind it, and a node that the recipe switches off stays float.
  void replaceWeightUses(Value* weight, const Node* fake_quantize) {
    const std::vector<Use> uses = weight->uses();
    for (const Use& use : uses) {
      const QuantizationTraits& traits = use.node->op().quantization;
      if (use.node != fake_quantize && traits.weight_input == static_cast<int>(use.index) &&
          weightSpec(*use.node) == fake_quantize->attributes<QuantizerSpec>()) {
        use.node->setInput(use.index, fake_quantize->output());
      }
    }
  }

  // The first node that uses the value, in graph order; null for none.
  Node* nodeBehind(const Value* value) const {
    for (const auto& node : graph_.nodes()) {
      for (const Use& use : value->uses()) {
        if (use.node == node.get()) return node.get();
      }
    }
    return nullptr;
  }

  // A stored weight gets its quantizer in front of its first user; one that is shared gets one.
  std::string quantizeWeight(Node* node) {
    const QuantizationTraits& traits = node->op().quantization;
    if (traits.weight_input < 0) return "";
    Value* weight = node->input(static_cast<size_t>(traits.weight_input));
    if (weight != nullptr && weight->quantizer != nullptr)
      return weight->quantizer->spec.toString();
    if (!isStored(weight) || weight->type.element != ElementType::kFloat) return "";
    const std::optional<QuantizerSpec> spec = weightSpec(*node);
    return spec ? quantizeValue(weight, *spec, std::nullopt, node)->spec.toString() : "";
  }

  static QuantizerSpec activationSpec(const QuantizerChoice& asked) {
    QuantizerSpec spec = activationQuantizer();
    spec.symmetric = asked.symmetric.value_or(false);
    setActivationBits(spec, asked.bits.value_or(8), asked.is_signed.value_or(false));
    applyObserver(asked, spec);
    return spec;
  }

  // Nothing where the node's weight has no axis of output channels, or the recipe leaves it float.
  std::optional<QuantizerSpec> weightSpec(const Node& node) const {
    const QuantizerChoice asked = weightChoice(node);
    const int64_t axis = node.op().quantization.weight_axis(node);
    if (axis < 0 || !asked.quantize.value_or(true)) return std::nullopt;
    QuantizerSpec spec = weightQuantizer(asked.per_channel.value_or(true) ? axis : -1);
    setWeightBits(spec, asked.bits.value_or(8));
    applyObserver(asked, spec);
    return spec;
  }

  static void applyObserver(const QuantizerChoice& asked, QuantizerSpec& spec) {
    if (asked.observer) spec.observer = *asked.observer;
    if (asked.percentile) spec.percentile = *asked.percentile;
    if (asked.averaging_constant) spec.averaging_constant = *asked.averaging_constant;
  }

  Graph& graph_;
  const ScaffoldOptions& options_;
  const std::unordered_map<const Node*, const Node*> inside_;
  std::unordered_map<const Value*, Quantizer*> quantized_;
  std::vector<PlacementEntry> entries_;
};

}  // namespace

void QuantizerChoice::update(const QuantizerChoice& over) {
  take(quantize, over.quantize);
  take(bits, over.bits);
  take(is_signed, over.is_signed);
  take(symmetric, over.symmetric);
  take(per_channel, over.per_channel);
  take(observer, over.observer);
  take(percentile, over.percentile);
  take(averaging_constant, over.averaging_constant);
}

std::vector<PlacementEntry> scaffold(Graph& graph, const ScaffoldOptions& options) {
  runPass(graph, "matmuls-to-gemms", matMulsToGemms);
  runPass(graph, "means-to-pools", meansToPools);
  runPass(graph, "sums-to-adds", sumsToAdds);
  if (!options.integer_biases) graph.metadata[kFloatBiasesKey] = "yes";
  return Scaffolder(graph, options).run();
}

namespace {

void checkSpec(const Node& node) {
  const auto& spec = node.attributes<QuantizerSpec>();
  if (spec.qmin > 0 || spec.qmax <= 0 || spec.qmin < -32768 || spec.qmax > 65535 ||
      spec.qmax - spec.qmin > 65535) {
    node.fail("codes from {} to {} are not possible", spec.qmin, spec.qmax);
  }
  if (!spec.isKnown()) node.fail("observer '{}' is not known", spec.observer);
  if (spec.observesRange() && spec.perChannel()) node.fail("a range is observed per tensor only");
  if (!(spec.averaging_constant >= 0 && spec.averaging_constant <= 1)) {
    node.fail("averaging_constant is {}, expected 0 to 1", spec.averaging_constant);
  }
}

// How many numbers a quantizer keeps at an input; 0 where it keeps nothing there.
int64_t stateSize(const QuantizerSpec& spec, size_t input, int64_t channels) {
  switch (input) {
    case kFakeQuantizeScale:
    case kFakeQuantizeZeroPoint:
      return channels;
    case kFakeQuantizeRangeMin:
    case kFakeQuantizeRangeMax:
      return spec.observesRange() ? 1 : 0;
    case kFakeQuantizeHistogram:
      return spec.usesHistogram() ? kHistogramBins : 0;
    case kFakeQuantizeHistogramLimit:
      return spec.usesHistogram() ? 1 : 0;
    default:
      return spec.learnsOffset() ? 1 : 0;
  }
}

// Scale, zero point and what an observer keeps are initializers that training updates.
void checkState(const Node& node) {
  const auto& spec = node.attributes<QuantizerSpec>();
  if (node.input(0)->type.element != ElementType::kFloat) {
    node.fail("input 0: expected float, got {}", typeToString(node.input(0)->type));
  }
  const Shape* shape = node.input(0)->type.shape ? &*node.input(0)->type.shape : nullptr;
  const auto axis = static_cast<size_t>(std::max<int64_t>(spec.axis, 0));
  if (spec.perChannel() && (shape == nullptr || axis >= shape->size() || !(*shape)[axis].known())) {
    node.fail("axis {}: expected a known dimension there, got {}", spec.axis,
              typeToString(node.input(0)->type));
  }
  const int64_t channels = spec.perChannel() ? (*shape)[axis].value : 1;
  for (size_t i = kFakeQuantizeScale; i <= kFakeQuantizeOffset; ++i) {
    const int64_t expected = stateSize(spec, i, channels);
    if (expected == 0) continue;
    const Value* value = node.input(i);
    if (value == nullptr || value->variable == nullptr) {
      node.fail("input {}: expected an initializer", i);
    }
    const Tensor& tensor = value->variable->value;
    if (tensor.type() != ElementType::kFloat || tensor.size() != expected) {
      node.fail("input {}: expected {} floats, got {}{}", i, expected,
                elementTypeName(tensor.type()), dimsToString(tensor.dims()));
    }
  }
}

}  // namespace

void bindQuantizers(Graph& graph) {
  for (const auto& node : graph.nodes()) {
    if (node->op().qualifiedName() == "simaqat::FakeQuantize") {
      checkSpec(*node);
      checkState(*node);
      // A graph output gave its name to what leaves, and the quantizer is named after it.
      const Value* named = graph.isOutput(node->output()) ? node->output() : node->input(0);
      Quantizer* quantizer = graph.addQuantizer(named->name(), node->attributes<QuantizerSpec>());
      quantizer->scale = node->input(1);
      quantizer->zero_point = node->input(2);
      node->output()->quantizer = quantizer;
    } else if (sharesQuantizer(*node)) {
      for (Value* output : node->outputs()) output->quantizer = node->input(0)->quantizer;
    }
  }
}

}  // namespace simaqat
