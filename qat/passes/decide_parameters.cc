#include "qat/passes/decide_parameters.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include "qat/ir/op.h"
#include "qat/passes/match.h"
#include "qat/passes/pattern.h"

namespace simaqat {
namespace {

bool isOneOf(const std::string& name, std::initializer_list<const char*> names) {
  return std::any_of(names.begin(), names.end(), [&](const char* n) { return name == n; });
}

// Moves the values of its input 0 and computes none.
bool movesValues(const Node& node) {
  return isOneOf(node.op().qualifiedName(), {"Identity", "Reshape", "Transpose", "Unsqueeze",
                                             "Squeeze", "Flatten", "Expand", "Tile", "Cast"});
}

// The uses of a value, and of what operators that only move values make of it.
std::vector<Use> usesThroughMoves(const Value* value) {
  std::vector<Use> uses;
  for (const Use& use : value->uses()) {
    if (use.index == 0 && movesValues(*use.node)) {
      const std::vector<Use> further = usesThroughMoves(use.node->output());
      uses.insert(uses.end(), further.begin(), further.end());
    } else {
      uses.push_back(use);
    }
  }
  return uses;
}

template <class Function>
bool allUses(const std::vector<Use>& uses, const Function& function) {
  return !uses.empty() && std::all_of(uses.begin(), uses.end(), function);
}

// Whether at most one dimension is larger than 1: a number, or one for each channel.
bool isPerChannel(const std::vector<int64_t>& dims) {
  return std::count_if(dims.begin(), dims.end(), [](int64_t d) { return d > 1; }) <= 1;
}

bool isArithmetic(const Node& node) {
  return isOneOf(node.op().qualifiedName(), {"Add", "Sub", "Mul", "Div"});
}

// ---- Normalization of the model's input
// ----------------------------------------------------------

// An initializer or constant, or what operators that move values make of one.
bool isStored(const Value* value) {
  while (value->producer() != nullptr && movesValues(*value->producer())) {
    value = value->producer()->input(0);
  }
  return value->producer() == nullptr && (value->isConstant() || value->variable != nullptr);
}

bool preparesInput(const Value* value);

bool preparesInput(const Node& node) {
  const std::string& type = node.op().qualifiedName();
  if (movesValues(node) || isOneOf(type, {"Slice", "Split", "Gather", "Resize", "Pad", "Clip"})) {
    return preparesInput(node.input(0));
  }
  if (type == "Concat") {
    return std::all_of(node.inputs().begin(), node.inputs().end(),
                       [](const Value* input) { return preparesInput(input); });
  }
  if (!isArithmetic(node)) return false;
  const Value *a = node.input(0), *b = node.input(1);
  return (preparesInput(a) && isStored(b)) || (isStored(a) && preparesInput(b));
}

// Whether the value is an input of the model, scaled, shifted and rearranged at most.
bool preparesInput(const Value* value) {
  if (value->producer() != nullptr) return preparesInput(*value->producer());
  return !value->isConstant() && value->variable == nullptr;
}

// x - mean or x / std, in front of everything.
bool normalizesInput(const Variable& variable, const std::vector<Use>& uses) {
  return isPerChannel(variable.value.dims()) && allUses(uses, [](const Use& use) {
           return isArithmetic(*use.node) && preparesInput(use.node->input(1 - use.index));
         });
}

// ---- Masks
// ---------------------------------------------------------------------------------------

bool leadsToSoftmax(const Value* value) {
  const std::vector<Use> uses = usesThroughMoves(value);
  return allUses(uses, [](const Use& use) {
    const std::string& type = use.node->op().qualifiedName();
    if (type == "Softmax" || type == "LogSoftmax") return true;
    return isOneOf(type, {"Add", "Sum", "Mul", "Div"}) && leadsToSoftmax(use.node->output());
  });
}

// What is added to scores so that a Softmax leaves some out: zeros and large negative numbers.
bool isMask(const Variable& variable, const std::vector<Use>& uses) {
  constexpr double kLeavesOut = -100;
  const std::vector<double> values = variable.value.toVector<double>();
  const bool has_form =
      std::all_of(values.begin(), values.end(), [](double v) { return v == 0 || v <= kLeavesOut; });
  const bool leaves_out =
      std::any_of(values.begin(), values.end(), [](double v) { return v != 0; });
  return has_form && leaves_out && allUses(uses, [](const Use& use) {
           return isOneOf(use.node->op().qualifiedName(), {"Add", "Sum", "Where"}) &&
                  leadsToSoftmax(use.node->output());
         });
}

// ---- Single numbers
// ------------------------------------------------------------------------------

bool isDividedBy(const Use& use) {
  const std::string& type = use.node->op().qualifiedName();
  return isOneOf(type, {"Sqrt", "Log", "Reciprocal"}) || (type == "Div" && use.index == 1) ||
         (type == "Pow" && use.index == 0);
}

// An epsilon: added to what is under a root, a logarithm or a fraction bar.
bool isEpsilon(const Use& use) {
  return isOneOf(use.node->op().qualifiedName(), {"Add", "Max", "Sum"}) &&
         allUses(usesThroughMoves(use.node->output()), isDividedBy);
}

// Why a single number belongs to the formula and is nothing that is learned; "" where it may be.
std::string whyNumber(const Variable& variable, const std::vector<Use>& uses) {
  const std::string& name = variable.name;
  if (isGeneratedName(name)) return "a number that the exporter named";
  // A path of modules: the state_dict of PyTorch has it.
  if (name.find('.') != std::string::npos) return "";
  const auto all = [&](const auto& function) { return allUses(uses, function); };
  if (all([](const Use& use) {
        return use.node->op().qualifiedName() == "Pow" && use.index == 1;
      })) {
    return "an exponent";
  }
  if (all(isEpsilon)) return "an epsilon";
  if (all([](const Use& use) {
        return isOneOf(use.node->op().qualifiedName(), {"Min", "Max", "Where"});
      })) {
    return "a bound or a filling";
  }
  return "";
}

// ---- Weights as constants
// ------------------------------------------------------------------------

bool isNormalization(const Node& node) {
  const std::string& name = node.op().name;
  const std::string suffix = "Normalization";
  return name.size() > suffix.size() &&
         name.compare(name.size() - suffix.size(), suffix.size(), suffix) == 0;
}

bool isWeightUse(const Use& use) {
  return use.node->op().quantization.weight_input == static_cast<int>(use.index);
}

// Added to the result of a product: its bias.
bool isAddedBias(const Use& use, const std::vector<int64_t>& dims) {
  if (use.node->op().qualifiedName() != "Add" || !isPerChannel(dims)) return false;
  const Node* product = use.node->input(1 - use.index)->producer();
  return product != nullptr && product->op().quantization.weight_input >= 0;
}

bool isParameterUse(const Use& use, const std::vector<int64_t>& dims) {
  const auto index = static_cast<int>(use.index);
  return isWeightUse(use) || use.node->op().quantization.bias_input == index ||
         (isNormalization(*use.node) && (index == 1 || index == 2)) ||
         (use.node->op().qualifiedName() == "PRelu" && index == 1) || isAddedBias(use, dims);
}

bool servesAsWeight(const Value* value) {
  const std::vector<Use> uses = usesThroughMoves(value);
  return std::any_of(uses.begin(), uses.end(), isWeightUse);
}

// Files of some converters keep every weight in a Constant node.
bool keepsWeightsInConstants(const Graph& graph) {
  const auto& variables = graph.variables();
  return std::none_of(variables.begin(), variables.end(), [](const auto& variable) {
    return variable->role == VariableRole::kWeight && servesAsWeight(variable->source);
  });
}

void makeVariable(Graph& graph, Value* constant) {
  const std::string name = constant->name();
  graph.rename(constant, name + "/constant");
  Variable* variable = graph.addVariable(name, VariableRole::kWeight, constant->constant);
  graph.replaceUses(constant, variable->source);
}

// Those constants that `wanted` names become variables.
template <class Function>
void promote(Graph& graph, const Function& wanted) {
  std::vector<Value*> found;
  for (const auto& value : graph.values()) {
    if (value->isConstant() && value->producer() == nullptr && !value->uses().empty() &&
        isFloatingPoint(value->type.element) && wanted(*value)) {
      found.push_back(value.get());
    }
  }
  for (Value* value : found) makeVariable(graph, value);
}

bool matchesAny(const std::string& name, const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return matchesPattern(name, pattern); });
}

bool isFinite(const Tensor& tensor) {
  const std::vector<double> values = tensor.toVector<double>();
  return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
}

// "" for a parameter.
std::string whyConstant(const Variable& variable, const ParameterEvidence& evidence) {
  if (evidence.listed) {
    return evidence.listed->count(variable.name) != 0 ? ""
                                                      : "is not in the file's list of parameters";
  }
  const auto stated = evidence.stated.find(variable.name);
  if (stated != evidence.stated.end())
    return stated->second ? "" : "the exporter calls it a buffer";
  if (!isFinite(variable.value)) {
    return "has values that are not finite";
  }
  const std::vector<Use> uses = usesThroughMoves(variable.source);
  if (isMask(variable, uses)) return "a mask in front of a Softmax";
  if (normalizesInput(variable, uses)) return "normalizes the model's input";
  if (variable.value.size() != 1) return "";
  if (!evidence.stated.empty()) return "the exporter does not call it a parameter";
  return whyNumber(variable, uses);
}

}  // namespace

bool isGeneratedName(const std::string& name) {
  const auto startsWith = [&](const char* prefix) { return name.rfind(prefix, 0) == 0; };
  const auto has = [&](const char* part) { return name.find(part) != std::string::npos; };
  // TensorFlow's variables have such names, its constants similar ones.
  if (has("ReadVariableOp")) return false;
  if (startsWith("onnx::") || startsWith("/") || startsWith("const_") || has("Const") || has(":")) {
    return true;
  }
  // 17, _17, val_17, _val_17, v_17
  size_t begin = name.find_first_not_of('_');
  for (const char* word : {"val_", "v_"}) {
    if (begin != std::string::npos && name.compare(begin, std::string(word).size(), word) == 0) {
      begin += std::string(word).size();
      break;
    }
  }
  return begin != std::string::npos && begin < name.size() &&
         std::all_of(name.begin() + static_cast<std::ptrdiff_t>(begin), name.end(),
                     [](unsigned char c) { return std::isdigit(c) != 0; });
}

std::vector<ConstantInitializer> decideParameters(Graph& graph, const ParameterEvidence& evidence,
                                                  const std::vector<std::string>& forced) {
  promote(graph, [&](const Value& value) {
    return matchesAny(value.name(), forced) ||
           (evidence.listed && evidence.listed->count(value.name()) != 0);
  });
  if (!evidence.listed && keepsWeightsInConstants(graph)) {
    promote(graph, [](const Value& value) {
      const std::vector<Use> uses = usesThroughMoves(&value);
      return std::any_of(uses.begin(), uses.end(),
                         [&](const Use& use) { return isParameterUse(use, value.type.dims()); });
    });
  }
  std::vector<ConstantInitializer> constants;
  std::vector<Variable*> variables;
  for (const auto& variable : graph.variables()) variables.push_back(variable.get());
  for (Variable* variable : variables) {
    if (variable->role != VariableRole::kWeight || matchesAny(variable->name, forced)) continue;
    const std::string reason = whyConstant(*variable, evidence);
    if (reason.empty()) continue;
    constants.push_back({variable->name, variable->value.dims(), reason});
    graph.freezeVariable(variable);
  }
  return constants;
}

}  // namespace simaqat
