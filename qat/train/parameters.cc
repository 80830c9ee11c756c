#include "qat/train/parameters.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_set>

#include "qat/base/random.h"
#include "qat/base/text.h"
#include "qat/ir/op.h"
#include "qat/passes/pattern.h"

namespace simaqat {
namespace {

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

namespace {

// Normal numbers with variance 2 / fan_in.
void fillByHe(Variable& variable, const Node& product, uint64_t seed) {
  const int64_t axis = product.op().quantization.weight_axis(product);
  const auto& dims = variable.value.dims();
  const int64_t outputs =
      axis < 0 ? dims.back() : dims[static_cast<size_t>(axis)] * weightGroups(product);
  const double fan_in = static_cast<double>(variable.value.size()) / static_cast<double>(outputs);
  const RandomStream stream(seed, randomPurpose("init/" + variable.name), 0);
  const auto deviation = static_cast<float>(std::sqrt(2.0 / fan_in));
  float* data = variable.value.mutableData<float>();
  for (int64_t i = 0; i < variable.value.size(); ++i) {
    data[i] = deviation * stream.normal(static_cast<uint64_t>(i));
  }
}

}  // namespace

void initializeRandomly(Graph& graph, uint64_t seed) {
  for (const auto& variable : graph.variables()) {
    if (variable->role == VariableRole::kWeight && !variable->trainable) continue;
    const ParameterUse use = parameterUse(*variable);
    switch (use.role) {
      case ParameterRole::kWeight:
        fillByHe(*variable, *use.node, seed);
        break;
      case ParameterRole::kScale:
      case ParameterRole::kVariance:
        fill(*variable, 1);
        break;
      case ParameterRole::kBias:
      case ParameterRole::kShift:
      case ParameterRole::kMean:
        fill(*variable, 0);
        break;
      case ParameterRole::kUnused:
      case ParameterRole::kOther:
        break;
    }
  }
}

}  // namespace simaqat
