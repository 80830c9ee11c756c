#include "qat/passes/scaffold.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <unordered_set>

#include "qat/ir/op.h"
#include "qat/ir/range_search.h"
#include "qat/passes/approximate.h"
#include "qat/passes/attention.h"
#include "qat/passes/divisors.h"
#include "qat/passes/expand_recurrent.h"
#include "qat/passes/fake_quantized.h"
#include "qat/passes/folded_weights.h"
#include "qat/passes/integer_forms.h"
#include "qat/passes/onnxruntime_kernels.h"
#include "qat/passes/pass.h"
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

// The nodes whose results follow from constants and shapes: numbers once those are bound, no data.
std::unordered_set<const Node*> shapeArithmetic(const Graph& graph) {
  std::unordered_set<const Node*> known;
  for (const auto& node : graph.nodes()) {
    const std::string name = node->op().qualifiedName();
    const auto is_known = [&](const Value* v) {
      return v == nullptr || v->isConstant() || known.count(v->producer()) != 0;
    };
    const bool follows = node->inputCount() > 0 && !node->op().random &&
                         std::all_of(node->inputs().begin(), node->inputs().end(), is_known);
    if (name == "Shape" || name == "Size" || follows) known.insert(node.get());
  }
  return known;
}

// Concats whose result nothing but the model's outputs sees, as it is, moved or concatenated again.
std::unordered_set<const Node*> concatsThatLeave(const Graph& graph) {
  std::unordered_set<const Node*> concats;
  std::unordered_set<const Value*> leaving;
  for (auto it = graph.nodes().rbegin(); it != graph.nodes().rend(); ++it) {
    const Node& node = **it;
    const bool is_concat = node.op().quantization.output == OutputQuantization::kConcat;
    if (!is_concat && !sharesQuantizer(node)) continue;
    const Value* value = node.output();
    const auto& uses = value->uses();
    const bool leaves = std::all_of(uses.begin(), uses.end(), [&](const Use& use) {
      const bool is_data = use.index == 0 || concats.count(use.node) != 0;
      return is_data && leaving.count(use.node->output()) != 0;
    });
    if (!leaves || graph.useCount(value) == 0) continue;
    leaving.insert(value);
    if (is_concat) concats.insert(&node);
  }
  return concats;
}

class Scaffolder {
 public:
  Scaffolder(Graph& graph, const ScaffoldOptions& options, QuantizerPolicy& policy)
      : graph_(graph),
        options_(options),
        policy_(policy),
        approximated_(approximatedFunctions(graph, options.approximations)),
        stored_(storedValues(graph)),
        without_data_(valuesWithoutData(graph)),
        divisors_(graph),
        apart_(concatsThatLeave(graph)),
        inside_(insideFunctions(graph)),
        shape_arithmetic_(shapeArithmetic(graph)) {
    std::unordered_set<const Node*> approximated;
    for (const ApproximatedFunction& function : approximated_) {
      approximated.insert(function.nodes.begin(), function.nodes.end());
      for (const Node* node : function.nodes) {
        if (node != function.end()) inside_[node] = function.end();
      }
    }
    softmaxes_ = insideSoftmaxes(graph, approximated);
    inside_.insert(softmaxes_.begin(), softmaxes_.end());
  }

  std::vector<PlacementEntry> run() {
    const std::vector<Node*> nodes = graph_.nodeSequence();
    for (size_t i = 0; i < nodes.size(); ++i) {
      order_[nodes[i]] = {i, std::numeric_limits<size_t>::max()};
    }
    for (Value* input : std::vector<Value*>(graph_.inputs)) {
      if (input->type.element == ElementType::kFloat) placeInput(input, nodes);
    }
    for (Node* node : nodes) place(node);
    checkOverrides(nodes);
    tellKernels(nodes);
    tellApproximations(nodes);
    approximate(graph_, approximated_);
    return std::move(entries_);
  }

 private:
  void placeInput(Value* input, const std::vector<Node*>& nodes) {
    const QuantizerChoice asked = policy_.input(*input);
    PlacementEntry entry{input->name(), "input", "", "", "", ""};
    if (!asked.quantize.value_or(true)) {
      entry.reason = "off by the recipe";
      policy_.noteInput(*input);
    } else if (const Node* softmax = softmaxMaskedBy(input)) {
      entry.reason = partOf(*softmax);
    } else if (staysInFloat(asked) && !feedsIntegerKernel(input)) {
      entry.reason = "ONNX Runtime uses it in float";
    } else if (staysDivisor(asked, input)) {
      entry.reason = divisorReason(input);
    } else {
      policy_.noteInput(*input);
      Node* first = nodes.empty() ? nullptr : nodes.front();
      entry.output = specOf(quantizeValue(
          input, activationSpec(asked, "input '" + input->name() + "'"), std::nullopt, first));
    }
    entries_.push_back(std::move(entry));
  }

  static std::string partOf(const Node& end) {
    return fmt::format("part of the function that ends in {}", end.describe());
  }

  // The Softmax for whose mask alone the input is there, or null.
  const Node* softmaxMaskedBy(const Value* input) const {
    const Node* softmax = nullptr;
    for (const Use& use : input->uses()) {
      const auto found = softmaxes_.find(use.node);
      if (found == softmaxes_.end()) return nullptr;
      softmax = found->second;
    }
    return softmax;
  }

  // Where integer kernels alone count, unless an override wants the value quantized.
  bool staysInFloat(const QuantizerChoice& asked) const {
    return options_.only_integer_kernels && !asked.quantize.value_or(false);
  }

  void place(Node* node) {
    PlacementEntry entry{node->name(), node->opType(), "", "", "", ""};
    if (stored_.count(node->output()) != 0) {
      entry.reason = "computed from parameters";
      entries_.push_back(std::move(entry));
      return;
    }
    const bool is_wanted = policy_.wantsOutput(*node);
    if (policy_.wantsWeight(*node) && !isWeightInFloat(*node)) entry.weight = quantizeWeight(node);
    if (!entry.weight.empty() || !policy_.wantsWeight(*node)) policy_.noteWeight(*node);
    if (!is_wanted) policy_.noteActivation({node});
    if (!is_wanted && node->op().qualifiedName() == "BatchNormalization") leaveInFloat(*node);
    if (is_wanted && inside_.count(node) == 0 && !staysApart(*node)) quantizeOperands(node);
    if (entry.weight.empty()) entry.weight = reasonForFloatWeight(*node);
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

  // What a quantizer for weights or stored operands may stand behind.
  static bool isQuantizable(const Value* value) {
    return value != nullptr && value->type.element == ElementType::kFloat &&
           value->type.isStatic() && isStored(value);
  }

  bool isWeightInFloat(const Node& node) const {
    return staysInFloat(policy_.weight(node)) && !hasIntegerKernel(node);
  }

  std::string reasonForFloatWeight(const Node& node) const {
    const QuantizationTraits& traits = node.op().quantization;
    if (traits.weight_input < 0) return "";
    const Value* weight = node.input(static_cast<size_t>(traits.weight_input));
    if (!isQuantizable(weight)) return "";
    if (!policy_.wantsWeight(node)) return "- off by the recipe";
    if (!hasBiasByChannel(node)) return "- its bias is not one stored number a channel";
    if (isWeightInFloat(node)) return "- ONNX Runtime uses it in float";
    if (traits.weight_axis(node) < 0) return "- no axis of its output channels";
    return weightSpec(node) ? "" : "- several nodes share it";
  }

  // One that folds into the node in front does not stay.
  void leaveInFloat(const Node& batch_norm) {
    std::string& names = graph_.metadata[kFloatBatchNormsKey];
    names += (names.empty() ? "" : "\n") + batch_norm.name();
  }

  // Once all quantizers stand; the last entries are the nodes'.
  void tellKernels(const std::vector<Node*>& nodes) {
    std::unordered_set<const Node*> as_operators;
    for (const ApproximatedFunction& function : approximated_) {
      if (!function.how->ships_as_function) as_operators.insert(function.end());
    }
    const auto kernels = predictKernels(graph_, as_operators);
    const size_t first = entries_.size() - nodes.size();
    for (size_t i = 0; i < nodes.size(); ++i) {
      const auto kernel = kernels.find(nodes[i]);
      if (kernel != kernels.end()) entries_[first + i].kernel = kernel->second.toString();
    }
  }

  void tellApproximations(const std::vector<Node*>& nodes) {
    const size_t first = entries_.size() - nodes.size();
    for (const ApproximatedFunction& function : approximated_) {
      const auto node = std::find(nodes.begin(), nodes.end(), function.end());
      PlacementEntry& entry = entries_[first + static_cast<size_t>(node - nodes.begin())];
      entry.op_type = fmt::format("{} ({})", function.how->op_type, function.how->toString());
      if (!function.how->ships_as_function) entry.kernel = "float: approximated by operators";
    }
  }

  // Returns the reason for no quantizer, or "".
  std::string placeOutput(Node* node, Value* value) {
    const QuantizationTraits& traits = node->op().quantization;
    const OutputQuantization output = outputOf(*node);
    if (const auto inside = inside_.find(node); inside != inside_.end()) {
      return partOf(*inside->second);
    }
    if (shape_arithmetic_.count(node) != 0) return "follows from shapes";
    switch (output) {
      case OutputQuantization::kNever:
        return "stays float";
      case OutputQuantization::kTransparent:
        return "passes its input on";
      case OutputQuantization::kShares:
        quantizeMovedParameter(node);
        shareQuantizer(*node);
        return value->quantizer == nullptr ? "its input is float" : "shares its input's";
      case OutputQuantization::kComputes:
      case OutputQuantization::kConcat:
        break;
    }
    if (const Node* consumer = soleConsumer(graph_, value)) {
      if (isFusedWith(*node, *consumer)) return fmt::format("fused with {}", consumer->describe());
      if (output == OutputQuantization::kComputes && quantizedBehind(*consumer)) {
        return fmt::format("quantized behind {}", consumer->describe());
      }
    }
    const std::vector<const Node*> fused = fusedBefore(node);
    const QuantizerChoice asked = policy_.activation(fused);
    if (staysDivisor(asked, value)) return divisorReason(value);
    if (staysApart(*node)) return "an output of the model: its parts keep their own scales";
    if (computesOtherwise(*node) && !asked.quantize.value_or(false)) {
      return "ONNX Runtime's integer kernel computes other numbers";
    }
    if (staysInFloat(asked) && !hasIntegerKernel(*node) && !feedsIntegerKernel(value)) {
      return "ONNX Runtime makes and uses it in float";
    }
    policy_.noteActivation(fused);
    QuantizerSpec spec = activationSpec(asked, node->describe());
    if (traits.upper_bound != nullptr) spec.upper_bound = traits.upper_bound(*node);
    std::optional<ScaleAndZeroPoint> fixed;
    if (traits.fixed_range > 0 && !asked.observer) fixed = scaleOfUnit(spec, traits.fixed_range);
    quantizeValue(value, std::move(spec), fixed, nullptr);
    return "";
  }

  // One scale for boxes in pixels and scores up to 1 would make zeros of the scores.
  bool staysApart(const Node& node) const {
    return apart_.count(&node) != 0 && !policy_.activation(node).quantize.value_or(false);
  }

  // A divisor stays float, unless an override wants it quantized or an integer kernel takes it,
  // too.
  bool staysDivisor(const QuantizerChoice& asked, const Value* value) const {
    if (divisors_.dividedBy(value) == nullptr || asked.quantize.value_or(false)) return false;
    const auto& uses = value->uses();
    return std::none_of(uses.begin(), uses.end(), [&](const Use& use) {
      return !divisors_.leadsToOne(use) && takesQuantized(use);
    });
  }

  std::string divisorReason(const Value* value) const {
    return fmt::format("a code of 0 would make {} infinite",
                       divisors_.dividedBy(value)->describe());
  }

  bool isFusedWith(const Node& node, const Node& consumer) const {
    const QuantizationTraits& traits = node.op().quantization;
    if (consumer.input(0) != node.output() || !policy_.wantsOutput(consumer)) return false;
    if (consumer.op().qualifiedName() == "BatchNormalization") return traits.fuses_batch_norm;
    const auto is_activation = consumer.op().quantization.is_activation;
    return traits.fuses_activation && is_activation != nullptr && is_activation(consumer);
  }

  // With the nodes that are fused with it in front of it, in graph order: one quantizer is theirs.
  std::vector<const Node*> fusedBefore(const Node* node) const {
    std::vector<const Node*> fused = {node};
    while (node->inputCount() > 0 && node->input(0) != nullptr) {
      const Node* producer = node->input(0)->producer();
      if (producer == nullptr) break;
      const bool is_fused = policy_.wantsOutput(*producer) && inside_.count(producer) == 0 &&
                            soleConsumer(graph_, node->input(0)) == node &&
                            isFusedWith(*producer, *node);
      if (!is_fused) break;
      fused.insert(fused.begin(), producer);
      node = producer;
    }
    return fused;
  }

  // A Concat all of whose inputs are computed for it alone, and quantized as it is: fake
  // quantization commutes with it.
  bool quantizedBehind(const Node& consumer) const {
    if (consumer.op().quantization.output != OutputQuantization::kConcat ||
        !policy_.wantsOutput(consumer) || staysApart(consumer)) {
      return false;
    }
    const QuantizerChoice asked = policy_.activation(consumer);
    return std::all_of(consumer.inputs().begin(), consumer.inputs().end(), [&](const Value* v) {
      return soleConsumer(graph_, v) == &consumer && computes(v) &&
             policy_.wantsOutput(*v->producer()) &&
             policy_.activation(fusedBefore(v->producer())) == asked;
    });
  }

  // An override that would change nothing is a mistake.
  void checkOverrides(const std::vector<Node*>& nodes) const {
    const std::optional<QuantizerPolicy::Idle> idle = policy_.firstIdle();
    if (!idle) return;
    std::string example;
    const size_t first = entries_.size() - nodes.size();
    for (size_t i = 0; i < nodes.size() && example.empty(); ++i) {
      if (!policy_.isAbout(idle->override_index, *nodes[i])) continue;
      const PlacementEntry& entry = entries_[first + i];
      std::string reason = entry.reason;
      if (idle->key == "weight") {
        reason = entry.weight.empty() ? "it has no weight to quantize" : entry.weight.substr(2);
      }
      example = fmt::format(" ({}: {})", nodes[i]->describe(), reason);
    }
    throw inputError("{}: no quantizer is there for its '{}'{}",
                     policy_.describe(idle->override_index), idle->key, example);
  }

  // The parameters' variables, a Quantizer, and the node behind `value` (or in front of `before`).
  Node* quantizeValue(Value* value, QuantizerSpec spec,
                      const std::optional<ScaleAndZeroPoint>& fixed, Node* before) {
    const std::string name = value->name();
    if (fixed) spec.observer = "fixed";
    std::vector<int64_t> dims;
    if (spec.perChannel()) dims = scaleDims(spec, value->type.dims());
    const auto parameter = [&](const char* suffix, VariableRole role, float number) {
      Tensor tensor(ElementType::kFloat,
                    role == VariableRole::kObserverRange ? std::vector<int64_t>{} : dims);
      std::fill_n(tensor.mutableData<float>(), tensor.size(), number);
      return graph_.addVariable(name + "/" + suffix, role, std::move(tensor))->source;
    };
    const bool learns = spec.learnsScale() && !spec.learnsFoldedScale();
    const float scale = fixed ? fixed->scale : learns ? kUnsetScale : 1.0f;
    std::vector<Value*> inputs = {value};
    inputs.push_back(parameter("scale", VariableRole::kQuantizerScale, scale));
    inputs.push_back(parameter("zero_point", VariableRole::kQuantizerScale,
                               fixed ? static_cast<float>(fixed->zero_point) : 0.0f));
    if (spec.observesRange()) {
      inputs.push_back(parameter("range_min", VariableRole::kObserverRange, kUnsetMin));
      inputs.push_back(parameter("range_max", VariableRole::kObserverRange, kUnsetMax));
    }
    if (spec.usesHistogram()) {
      inputs.push_back(graph_
                           .addVariable(name + "/histogram", VariableRole::kObserverRange,
                                        Tensor(ElementType::kFloat, {kHistogramBins}))
                           ->source);
      inputs.push_back(parameter("histogram_limit", VariableRole::kObserverRange, 0));
    }
    if (spec.learnsOffset()) {
      inputs.resize(kFakeQuantizeOffset);
      inputs.push_back(parameter("offset", VariableRole::kQuantizerScale, 0));
    }
    if (spec.learnsFoldedScale()) {
      inputs.resize(kFakeQuantizeFoldedScale);
      inputs.push_back(graph_
                           .addVariable(name + "/folded_scale", VariableRole::kQuantizerScale,
                                        Tensor::scalar(kUnsetScale))
                           ->source);
    }
    if (spec.learnsScale()) inputs[learnedScaleInput(spec)]->variable->trainable = true;
    if (spec.learnsOffset()) inputs[kFakeQuantizeOffset]->variable->trainable = true;
    if (before == nullptr) before = nodeBehind(value);
    Graph::NodeOptions node_options;
    node_options.before = before;
    node_options.output_names = {graph_.uniqueName(name + "/fake_quantize")};
    Node* node = graph_.addNode("simaqat::FakeQuantize", name + "/fake_quantize", inputs,
                                wrapAttributes(spec), node_options);
    orderNew(node, before);
    const bool leaves = graph_.isOutput(value) && !spec.is_weight;
    if (spec.is_weight) {
      replaceWeightUses(value, node);
    } else {
      replaceActivationUses(value, node);
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
    return node;
  }

  // What divides by the value takes the float, unless an override wants it quantized.
  void replaceActivationUses(Value* value, const Node* fake_quantize) {
    const Node* producer = value->producer();
    const QuantizerChoice asked =
        producer == nullptr ? policy_.input(*value) : policy_.activation(*producer);
    std::vector<Use> divisions;
    const auto& uses = value->uses();
    if (!asked.quantize.value_or(false))
      std::copy_if(uses.begin(), uses.end(), std::back_inserter(divisions),
                   [&](const Use& use) { return divisors_.leadsToOne(use); });
    graph_.replaceUses(value, fake_quantize->output(), fake_quantize);
    for (const Use& use : divisions) use.node->setInput(use.index, value);
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
    Node* first = nullptr;
    for (const Use& use : value->uses()) {
      if (first == nullptr || order_.at(use.node) < order_.at(first)) first = use.node;
    }
    return first;
  }
  // Of the new ones in front of a node the first that was added comes first.
  void orderNew(const Node* node, const Node* before) {
    const size_t position = before == nullptr ? order_.size() : order_.at(before).first;
    order_[node] = {position, order_.size()};
  }

  // A stored weight gets its quantizer in front of its first user; one that is shared gets one.
  std::string quantizeWeight(Node* node) {
    const QuantizationTraits& traits = node->op().quantization;
    if (traits.weight_input < 0) return "";
    Value* weight = node->input(static_cast<size_t>(traits.weight_input));
    if (weight != nullptr && weight->quantizer != nullptr && weight->quantizer->spec.is_weight) {
      return weight->quantizer->spec.toString();
    }
    if (!isQuantizable(weight)) return "";
    const std::optional<QuantizerSpec> spec = weightSpec(*node);
    return spec ? specOf(quantizeValue(weight, *spec, std::nullopt, node)) : "";
  }

  static std::string foldedObserver(const std::string& observer) {
    if (observer == "lsq") return "folded_lsq";
    return observer == "channel_mse" ? "folded_mse" : "folded_max";
  }

  // One scale for a weight with a BatchNormalization folded in is that of the folded weight.
  std::optional<QuantizerSpec> weightSpec(const Node& node) const {
    if (!hasBiasByChannel(node)) return std::nullopt;
    std::optional<QuantizerSpec> spec = policy_.weightSpec(node);
    if (!spec || spec->perChannel()) return spec;
    const QuantizationTraits& traits = node.op().quantization;
    const Value* weight = node.input(static_cast<size_t>(traits.weight_input));
    const Node* batch_norm = batchNormBehind(graph_, node);
    if (batch_norm == nullptr) return spec;
    // One that the recipe leaves in float is folded all the same where no quantizer is between.
    const bool is_between = policy_.wantsOutput(node) && !isFusedWith(node, *batch_norm);
    if (is_between) return spec;
    const bool is_shared = std::any_of(
        weight->uses().begin(), weight->uses().end(),
        [&](const Use& use) { return use.node != &node && !isFakeQuantize(*use.node); });
    const int64_t groups = weightGroups(node);
    // Folded, it would have a scale for each channel, and an axis of them is not there with groups.
    if (is_shared) return groups == 1 ? spec : std::nullopt;
    spec->axis = traits.weight_axis(node);
    spec->groups = groups;
    spec->observer = foldedObserver(spec->observer);
    return spec;
  }

  static std::string specOf(const Node* fake_quantize) {
    return fake_quantize->attributes<QuantizerSpec>().toString();
  }

  // No grid holds an infinity, such as a mask's.
  bool isFinite(const Value* stored) const {
    const std::vector<float> values = storedTensor(graph_, stored).toVector<float>();
    return std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
  }

  // Stored operands beside quantized values, with the same width.
  void quantizeOperands(Node* node) {
    if (!wantsQuantizedOperands(*node)) return;
    const Value* quantized = nullptr;
    for (const Value* input : node->inputs()) {
      const bool is_activation =
          input != nullptr && input->quantizer != nullptr && !input->quantizer->spec.is_weight;
      if (is_activation) quantized = input;
    }
    if (quantized == nullptr) return;
    const QuantizerSpec spec = operandSpec(quantized->quantizer->spec);
    const QuantizationTraits& traits = node->op().quantization;
    for (size_t i = 0; i < node->inputCount(); ++i) {
      const int index = static_cast<int>(i);
      // A layer's weight has a quantizer of its own, or stays float.
      if (index == traits.bias_input) continue;
      if (index == traits.weight_input && traits.weight_axis(*node) >= 0) continue;
      if (index == traits.weight_input && !policy_.wantsWeight(*node)) continue;
      const Value* operand = node->input(i);
      if (!isQuantizable(operand) || operand->quantizer != nullptr) continue;
      if (isFinite(operand)) quantizeOperand(node, i, spec);
    }
  }

  // A parameter that is repeated over the batch, or of which the data's shape says which part is
  // taken, is quantized as it is stored: its codes are what is moved.
  void quantizeMovedParameter(Node* node) {
    const auto& inputs = node->inputs();
    const bool is_moved = isQuantizable(inputs[0]) && inputs[0]->quantizer == nullptr &&
                          std::all_of(inputs.begin(), inputs.end(), [&](const Value* v) {
                            return v == nullptr || without_data_.count(v) != 0;
                          });
    if (!is_moved || !feedsQuantizedOperand(*node) || !isFinite(inputs[0])) return;
    quantizeOperand(node, 0,
                    operandSpec(activationSpec(policy_.activation(*node), node->describe())));
  }

  // Whether an integer kernel takes what the node moves, as it is or moved again.
  bool feedsQuantizedOperand(const Node& mover) const {
    const auto& outputs = mover.outputs();
    return std::any_of(outputs.begin(), outputs.end(), [&](const Value* value) {
      const auto& uses = value->uses();
      return std::any_of(uses.begin(), uses.end(),
                         [&](const Use& use) { return takesQuantized(use); });
    });
  }

  bool takesQuantized(const Use& use) const {
    const Node& user = *use.node;
    if (inside_.count(&user) != 0 || !policy_.wantsOutput(user)) return false;
    if (sharesQuantizer(user) && use.index == 0) return feedsQuantizedOperand(user);
    const bool is_operand = (use.index == 0 || wantsQuantizedOperands(user)) &&
                            static_cast<int>(use.index) != user.op().quantization.bias_input;
    return is_operand && hasIntegerKernel(user);
  }

  // As the activation beside it.
  static QuantizerSpec operandSpec(const QuantizerSpec& activation) {
    QuantizerSpec spec = activationQuantizer();
    spec.qmin = activation.qmin;
    spec.qmax = activation.qmax;
    spec.symmetric = activation.symmetric;
    spec.is_weight = true;
    spec.observer = "tensor_range";
    return spec;
  }

  void quantizeOperand(Node* node, size_t index, const QuantizerSpec& spec) {
    Value* operand = node->input(index);
    const auto found = operands_.find(operand);
    if (found == operands_.end()) {
      operands_[operand] = quantizeValue(operand, spec, std::nullopt, node)->output();
    }
    node->setInput(index, operands_.at(operand));
  }

  Graph& graph_;
  const ScaffoldOptions& options_;
  QuantizerPolicy& policy_;
  const std::vector<ApproximatedFunction> approximated_;
  const std::unordered_set<const Value*> stored_;
  const std::unordered_set<const Value*> without_data_;
  const Divisors divisors_;
  const std::unordered_set<const Node*> apart_;
  std::unordered_map<const Node*, const Node*> inside_;  // to the ends of their functions
  const std::unordered_set<const Node*> shape_arithmetic_;
  std::unordered_map<const Node*, const Node*> softmaxes_;  // of these those of Softmaxes
  // Where nodes stand: the source's by number, new ones as what they are in front of.
  std::unordered_map<const Node*, std::pair<size_t, size_t>> order_;
  std::unordered_map<const Value*, Quantizer*> quantized_;
  std::unordered_map<const Value*, Value*> operands_;  // behind their quantizers
  std::vector<PlacementEntry> entries_;
};

}  // namespace

std::vector<PlacementEntry> scaffold(Graph& graph, const ScaffoldOptions& options) {
  runPass(graph, "expand-recurrent", [](Graph& g) { expandRecurrent(g); });
  QuantizerPolicy policy(options, graph);
  runPass(graph, "matmuls-to-gemms", matMulsToGemms);
  runPass(graph, "means-to-pools", meansToPools);
  runPass(graph, "plain-pools", plainPools);
  runPass(graph, "sums-to-adds", sumsToAdds);
  if (!options.integer_biases) graph.metadata[kFloatBiasesKey] = "yes";
  return Scaffolder(graph, options, policy).run();
}

}  // namespace simaqat
