#include "qat/train/parameters.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "qat/base/random.h"
#include "qat/ir/op.h"
#include "qat/passes/pattern.h"

namespace simaqat {
namespace {

// The use that tells what a variable is, through the fake quantization of a weight.
const Use* definingUse(const Value* value) {
  for (const Use& use : value->uses()) {
    if (use.node->op().name == "FakeQuantize") return definingUse(use.node->output());
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

bool isWeight(const Use& use) {
  return use.node->op().quantization.weight_input == static_cast<int>(use.index);
}

void fill(Variable& variable, float number) {
  std::fill_n(variable.value.mutableData<float>(), variable.value.size(), number);
}

}  // namespace

std::string parameterKind(const Variable& variable) {
  const Use* use = definingUse(variable.source);
  if (use == nullptr) return "weight";
  if (isNormalization(*use->node)) return "norm";
  const bool bias = use->node->op().quantization.bias_input == static_cast<int>(use->index) ||
                    (!isWeight(*use) && variable.value.dims().size() == 1);
  return bias ? "bias" : "weight";
}

void keepReached(Graph& graph) {
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
    const auto& variables = graph.variables();
    const bool any = std::any_of(variables.begin(), variables.end(), [&](const auto& variable) {
      return variable->role == VariableRole::kWeight && matchesParameter(*variable, {pattern});
    });
    if (!any) throw inputError("{} {}: matches no weight of the model", option, pattern);
  }
}

void selectTrainable(Graph& graph, const std::vector<std::string>& train,
                     const std::vector<std::string>& freeze) {
  requireMatches(graph, "--train", train);
  requireMatches(graph, "--freeze", freeze);
  for (const auto& variable : graph.variables()) {
    if (variable->role != VariableRole::kWeight) continue;
    if (matchesParameter(*variable, train)) variable->trainable = true;
    if (matchesParameter(*variable, freeze)) variable->trainable = false;
  }
}

void initializeRandomly(Graph& graph, uint64_t seed) {
  for (const auto& variable : graph.variables()) {
    const Use* use = definingUse(variable->source);
    if (use == nullptr) continue;
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
    } else if (variable->role == VariableRole::kWeight && parameterKind(*variable) == "bias") {
      fill(*variable, 0);
    }
  }
}

}  // namespace simaqat
