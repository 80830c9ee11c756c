#include "qat/train/parameters.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_set>

#include "qat/base/random.h"
#include "qat/base/text.h"
#include "qat/ir/op.h"
#include "qat/passes/match.h"
#include "qat/passes/pattern.h"

namespace simaqat {
namespace {

// The use that says what a variable is: through the fake quantization of a weight, and through
// operators that give a vector the rank of what it is combined with.
const Use* definingUse(const Value* value) {
  for (const Use& use : value->uses()) {
    const std::string& name = use.node->op().name;
    const bool passes = name == "FakeQuantize" || name == "Unsqueeze" || name == "Reshape";
    if (passes && use.index == 0) return definingUse(use.node->output());
    return &use;
  }
  return nullptr;
}

bool isNormalization(const Node& node) {
  const std::string& name = node.op().name;
  const std::string suffix = "Normalization";
  return name.size() >= suffix.size() &&
         name.compare(name.size() - suffix.size(), suffix.size(), suffix) == 0;
}

bool isProducedBy(const Value* value, const char* name) {
  return value != nullptr && value->producer() != nullptr && value->producer()->op().name == name;
}

const Value* otherInput(const Use& use) { return use.node->input(1 - use.index); }

// The standard deviation: a root, or one with an epsilon added to it.
bool isDeviation(const Value* value) {
  if (isProducedBy(value, "Sqrt")) return true;
  if (isProducedBy(value, "Pow")) return value->producer()->input(1)->isConstant();
  if (!isProducedBy(value, "Add")) return false;
  const Node& sum = *value->producer();
  return isProducedBy(sum.input(0), "Sqrt") || isProducedBy(sum.input(1), "Sqrt");
}

// One over it.
bool isInverseDeviation(const Value* value) {
  if (isProducedBy(value, "Reciprocal")) return isDeviation(value->producer()->input(0));
  if (isProducedBy(value, "Div")) {
    const Node& quotient = *value->producer();
    return quotient.input(0)->isConstant() && isDeviation(quotient.input(1));
  }
  const std::optional<double> exponent =
      isProducedBy(value, "Pow") ? constantNumber(value->producer()->input(1)) : std::nullopt;
  return exponent && *exponent < 0;
}

// A normalization written out: x / deviation, x * (1 / deviation); or GroupNormalization as an
// InstanceNormalization and a Reshape.
bool isNormalized(const Value* value) {
  while (isProducedBy(value, "Reshape")) value = value->producer()->input(0);
  if (isProducedBy(value, "InstanceNormalization")) return true;
  if (isProducedBy(value, "Div")) return isDeviation(value->producer()->input(1));
  if (!isProducedBy(value, "Mul")) return false;
  const Node& product = *value->producer();
  return isInverseDeviation(product.input(0)) || isInverseDeviation(product.input(1));
}

// The scale of a normalization that is written out.
bool isWrittenOutScale(const Use& use) {
  return use.node->op().name == "Mul" && isNormalized(otherInput(use));
}

// Its bias, which is added to what was scaled.
bool isWrittenOutBias(const Use& use) {
  if (use.node->op().name != "Add" || !isProducedBy(otherInput(use), "Mul")) return false;
  const Node& scaled = *otherInput(use)->producer();
  return isNormalized(scaled.input(0)) || isNormalized(scaled.input(1));
}

// Numbers for the channels alone: at most one dimension is larger than 1.
bool isPerChannel(const Tensor& tensor) {
  const auto& dims = tensor.dims();
  return std::count_if(dims.begin(), dims.end(), [](int64_t d) { return d > 1; }) <= 1;
}

bool isAdded(const Use& use) {
  return use.node->op().name == "Add" || use.node->op().name == "Sub";
}

bool isWeight(const Use& use) {
  return use.node->op().quantization.weight_input == static_cast<int>(use.index);
}

// Through operators that only move values, as in the Transpose that some exporters write.
bool reachesWeight(const Value* value) {
  const auto& uses = value->uses();
  return std::any_of(uses.begin(), uses.end(), [](const Use& use) {
    const OutputQuantization output = use.node->op().quantization.output;
    const bool moves = use.index == 0 && output == OutputQuantization::kShares;
    return isWeight(use) || (moves && reachesWeight(use.node->output()));
  });
}

bool matchesWeight(const Graph& graph, const std::string& pattern) {
  const auto& variables = graph.variables();
  return std::any_of(variables.begin(), variables.end(), [&](const auto& variable) {
    return variable->role == VariableRole::kWeight && matchesParameter(*variable, {pattern});
  });
}

bool isUniform(const Tensor& tensor) {
  const std::vector<double> values = tensor.toVector<double>();
  return std::all_of(values.begin(), values.end(), [&](double v) { return v == values[0]; });
}

void fill(Variable& variable, float number) {
  std::fill_n(variable.value.mutableData<float>(), variable.value.size(), number);
}

}  // namespace

std::string parameterKind(const Variable& variable) {
  const Use* use = definingUse(variable.source);
  if (use == nullptr) return "weight";
  if (isNormalization(*use->node) || isWrittenOutScale(*use) || isWrittenOutBias(*use)) {
    return "norm";
  }
  const bool bias = use->node->op().quantization.bias_input == static_cast<int>(use->index) ||
                    (isAdded(*use) && isPerChannel(variable.value));
  return bias ? "bias" : "weight";
}

bool servesAsParameter(const Variable& variable) {
  return parameterKind(variable) != "weight" || reachesWeight(variable.source);
}

namespace {

// The values that a gradient from one of the outputs can reach.
std::unordered_set<const Value*> reachedValues(const Graph& graph) {
  std::unordered_set<const Value*> reached;
  std::vector<const Value*> pending;
  for (const GraphOutput& output : graph.outputs) pending.push_back(output.value);
  while (!pending.empty()) {
    const Value* value = pending.back();
    pending.pop_back();
    if (!isFloatingPoint(value->type.element) || !reached.insert(value).second) continue;
    const Node* node = value->producer();
    // BatchNormalization's own definition differentiates its evaluation form alone, but it trains.
    if (node == nullptr || node->op().gradient == nullptr) continue;
    for (const Value* input : node->inputs()) {
      if (input != nullptr) pending.push_back(input);
    }
  }
  return reached;
}

}  // namespace

void keepReached(Graph& graph) {
  const std::unordered_set<const Value*> reached = reachedValues(graph);
  for (const auto& variable : graph.variables()) {
    variable->trainable = variable->trainable && reached.count(variable->source) != 0;
  }
}

bool matchesParameter(const Variable& variable, const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return pattern == parameterKind(variable) || matchesPattern(variable.name, pattern);
  });
}

void requireMatches(const Graph& graph, const char* option,
                    const std::vector<std::string>& patterns) {
  for (const std::string& pattern : patterns) {
    if (!matchesWeight(graph, pattern)) {
      throw inputError("{} {}: matches no weight of the model", option, pattern);
    }
  }
}

void selectTrainable(Graph& graph, const std::vector<std::string>& train,
                     const std::vector<std::string>& freeze,
                     const std::vector<ConstantInitializer>& constants) {
  requireMatches(graph, "--train", train);
  for (const std::string& pattern : freeze) {
    const bool is_constant =
        std::any_of(constants.begin(), constants.end(), [&](const ConstantInitializer& constant) {
          return matchesPattern(constant.name, pattern);
        });
    if (!is_constant) requireMatches(graph, "--freeze", {pattern});
  }
  for (const auto& variable : graph.variables()) {
    if (variable->role != VariableRole::kWeight) continue;
    if (matchesParameter(*variable, train)) variable->trainable = true;
    if (matchesParameter(*variable, freeze)) variable->trainable = false;
  }
}

std::vector<std::vector<std::string>> parameterTable(
    const Graph& graph, const std::vector<ConstantInitializer>& constants) {
  const std::unordered_set<const Value*> reached = reachedValues(graph);
  std::vector<std::vector<std::string>> rows = {
      {"PARAMETER", "SHAPE", "KIND", "TRAINS", "WHY NOT"}};
  for (const auto& variable : graph.variables()) {
    if (variable->role != VariableRole::kWeight) continue;
    const bool is_reached = reached.count(variable->source) != 0;
    const bool trains = variable->trainable && is_reached;
    const char* reason = trains ? "" : is_reached ? "frozen" : "no gradient reaches it";
    rows.push_back({variable->name, dimsToString(variable->value.dims()), parameterKind(*variable),
                    trains ? "yes" : "no", reason});
  }
  for (const ConstantInitializer& constant : constants) {
    rows.push_back({constant.name, dimsToString(constant.dims), "constant", "no", constant.reason});
  }
  return rows;
}

int64_t trainedElements(const Graph& graph) {
  int64_t elements = 0;
  for (const auto& variable : graph.variables()) {
    if (variable->role == VariableRole::kWeight && variable->trainable) {
      elements += variable->value.size();
    }
  }
  return elements;
}

std::vector<std::string> warningsOfMerged(const Graph& graph) {
  std::vector<std::string> merged;
  for (const auto& variable : graph.variables()) {
    const size_t uses = variable->source->uses().size();
    const std::string kind = parameterKind(*variable);
    const bool is_plain = kind != "weight" || !reachesWeight(variable->source);
    if (variable->role == VariableRole::kWeight && variable->trainable && is_plain && uses > 1 &&
        isUniform(variable->value)) {
      merged.push_back(fmt::format("'{}' ({} uses)", variable->name, uses));
    }
  }
  if (merged.empty()) return {};
  return {fmt::format(
      "{}: one initializer with one value throughout serves several nodes and trains as one "
      "parameter; if the exporter merged equal ones, export without that (docs/EXPORT.md)",
      joined(merged))};
}

void initializeRandomly(Graph& graph, uint64_t seed) {
  for (const auto& variable : graph.variables()) {
    const bool is_frozen = variable->role == VariableRole::kWeight && !variable->trainable;
    const Use* use = definingUse(variable->source);
    if (use == nullptr || is_frozen) continue;
    if (isNormalization(*use->node)) {
      // Inputs: x, scale, bias, mean, variance.
      fill(*variable, use->index == 1 || use->index == 4 ? 1.0f : 0.0f);
    } else if (isWeight(*use)) {
      const int64_t axis = use->node->op().quantization.weight_axis(*use->node);
      const auto& dims = variable->value.dims();
      const int64_t outputs =
          axis < 0 ? dims.back() : dims[static_cast<size_t>(axis)] * weightGroups(*use->node);
      const double fan_in =
          static_cast<double>(variable->value.size()) / static_cast<double>(outputs);
      const RandomStream stream(seed, randomPurpose("init/" + variable->name), 0);
      const auto deviation = static_cast<float>(std::sqrt(2.0 / fan_in));
      float* data = variable->value.mutableData<float>();
      for (int64_t i = 0; i < variable->value.size(); ++i) {
        data[i] = deviation * stream.normal(static_cast<uint64_t>(i));
      }
    } else if (isWrittenOutScale(*use)) {
      fill(*variable, 1);
    } else if (isWrittenOutBias(*use) || parameterKind(*variable) == "bias") {
      fill(*variable, 0);
    }
  }
}

}  // namespace simaqat
