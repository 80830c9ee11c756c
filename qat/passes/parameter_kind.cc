#include "qat/passes/parameter_kind.h"

#include <algorithm>
#include <optional>

#include "qat/ir/op.h"
#include "qat/passes/match.h"
#include "qat/passes/pattern.h"

namespace simaqat {
namespace {

bool isNormalization(const Node& node) {
  const std::string& name = node.op().name;
  const std::string suffix = "Normalization";
  return name.size() >= suffix.size() &&
         name.compare(name.size() - suffix.size(), suffix.size(), suffix) == 0;
}

// The use that says what a variable is: through the fake quantization and the standardization of a
// weight, and through operators that give a vector the rank of what it is combined with.
const Use* definingUse(const Value* value) {
  for (const Use& use : value->uses()) {
    const std::string& name = use.node->op().name;
    const bool passes = name == "FakeQuantize" || name == "Unsqueeze" || name == "Reshape" ||
                        isNormalization(*use.node);
    if (passes && use.index == 0) return definingUse(use.node->output());
    return &use;
  }
  return nullptr;
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

// By the input of a normalization: x, scale, bias, mean, variance.
ParameterRole normalizationRole(size_t index) {
  switch (index) {
    case 1:
      return ParameterRole::kScale;
    case 2:
      return ParameterRole::kShift;
    case 3:
      return ParameterRole::kMean;
    default:
      return ParameterRole::kVariance;
  }
}

ParameterRole roleOf(const Use& use, const Tensor& value) {
  if (isNormalization(*use.node)) return normalizationRole(use.index);
  if (isWeight(use)) return ParameterRole::kWeight;
  if (isWrittenOutScale(use)) return ParameterRole::kScale;
  if (isWrittenOutBias(use)) return ParameterRole::kShift;
  const bool is_bias = use.node->op().quantization.bias_input == static_cast<int>(use.index) ||
                       (isAdded(use) && isPerChannel(value));
  return is_bias ? ParameterRole::kBias : ParameterRole::kOther;
}

}  // namespace

ParameterUse parameterUse(const Variable& variable) {
  const Use* use = definingUse(variable.source);
  if (use == nullptr) return {ParameterRole::kUnused, nullptr};
  return {roleOf(*use, variable.value), use->node};
}

std::string parameterKind(const Variable& variable) {
  switch (parameterUse(variable).role) {
    case ParameterRole::kScale:
    case ParameterRole::kShift:
    case ParameterRole::kMean:
    case ParameterRole::kVariance:
      return "norm";
    case ParameterRole::kBias:
      return "bias";
    default:
      return "weight";
  }
}

bool servesAsParameter(const Variable& variable) {
  return parameterKind(variable) != "weight" || reachesWeight(variable.source);
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

bool matchesParameter(const Variable& variable, const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return pattern == parameterKind(variable) || matchesPattern(variable.name, pattern);
  });
}

}  // namespace simaqat
