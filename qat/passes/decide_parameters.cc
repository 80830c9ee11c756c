#include "qat/passes/decide_parameters.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <unordered_set>

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
  return isOneOf(node.op().qualifiedName(),
                 {"Identity", "Reshape", "Transpose", "Unsqueeze", "Squeeze", "Flatten", "Expand",
                  "Tile", "Cast", "Slice", "Split", "Gather"});
}

// The values that follow from initializers and constants alone.
class Stored {
 public:
  explicit Stored(const Graph& graph) {
    for (const auto& value : graph.values()) {
      if (value->producer() == nullptr && (value->isConstant() || value->variable != nullptr)) {
        values_.insert(value.get());
      }
    }
    for (const Node* node : graph.nodeSequence()) {
      const bool follows =
          !node->op().random && std::all_of(node->inputs().begin(), node->inputs().end(),
                                            [&](const Value* v) { return !v || has(v); });
      if (follows) values_.insert(node->outputs().begin(), node->outputs().end());
    }
  }
  bool has(const Value* value) const { return values_.count(value) != 0; }

 private:
  std::unordered_set<const Value*> values_;
};

// The uses of a value, and of what is computed of it with other stored values, or moved.
std::vector<Use> finalUses(const Stored& stored, const Value* value) {
  std::vector<Use> uses;
  for (const Use& use : value->uses()) {
    const bool is_moved = use.index == 0 && movesValues(*use.node);
    if (!is_moved && !stored.has(use.node->output())) {
      uses.push_back(use);
      continue;
    }
    for (const Value* output : use.node->outputs()) {
      const std::vector<Use> further = finalUses(stored, output);
      uses.insert(uses.end(), further.begin(), further.end());
    }
  }
  return uses;
}

template <class Function>
bool allUses(const std::vector<Use>& uses, const Function& function) {
  return !uses.empty() && std::all_of(uses.begin(), uses.end(), function);
}

template <class Function>
bool anyUse(const std::vector<Use>& uses, const Function& function) {
  return std::any_of(uses.begin(), uses.end(), function);
}

const Value* operandOf(const Use& use) { return use.node->input(use.index); }

bool isTypeOf(const Use& use, std::initializer_list<const char*> types) {
  return isOneOf(use.node->op().qualifiedName(), types);
}

// Whether at most one dimension is larger than 1: a number, or one for each channel.
bool isPerChannel(const Value* value) {
  if (!value->type.isStatic()) return false;
  const std::vector<int64_t> dims = value->type.dims();
  return std::count_if(dims.begin(), dims.end(), [](int64_t d) { return d > 1; }) <= 1;
}

// The number that all elements are.
std::optional<double> uniformNumber(const Tensor& tensor) {
  const std::vector<double> values = tensor.toVector<double>();
  const bool uniform =
      std::all_of(values.begin(), values.end(), [&](double v) { return v == values[0]; });
  return uniform && !values.empty() ? std::optional<double>(values[0]) : std::nullopt;
}

bool isArithmetic(const Node& node) {
  return isOneOf(node.op().qualifiedName(), {"Add", "Sub", "Mul", "Div", "Sum"});
}

// ---- Normalization of the model's input
// ----------------------------------------------------------

// Whether the value is an input of the model, scaled, shifted and rearranged at most.
bool preparesInput(const Stored& stored, const Value* value) {
  const Node* node = value->producer();
  if (node == nullptr) return !stored.has(value);
  const std::string& type = node->op().qualifiedName();
  if (movesValues(*node) || isOneOf(type, {"Resize", "Pad", "Clip"})) {
    return preparesInput(stored, node->input(0));
  }
  if (type != "Concat" && !isArithmetic(*node)) return false;
  bool any = false;
  for (const Value* input : node->inputs()) {
    if (stored.has(input) && type != "Concat") continue;
    if (!preparesInput(stored, input)) return false;
    any = true;
  }
  return any;
}

// (x - mean) / std and the like in front of everything: numbers for each channel, or a whole image
// that is taken from x.
bool normalizesInput(const Stored& stored, const Variable& variable, const std::vector<Use>& uses) {
  const std::optional<double> number = uniformNumber(variable.value);
  // A scale of 1 or a shift of 0 normalizes nothing: it is where a learned one starts.
  if (number && (*number == 1 || *number == 0)) return false;
  return allUses(uses, [&](const Use& use) {
    const bool is_image = isTypeOf(use, {"Sub"}) && use.index == 1;
    return isArithmetic(*use.node) && (is_image || isPerChannel(operandOf(use))) &&
           preparesInput(stored, use.node->output());
  });
}

// ---- Masks
// ---------------------------------------------------------------------------------------

// Whether scores lead to a Softmax, written out or not, in a few steps.
bool leadsToSoftmax(const Value* value, int steps = 6) {
  return steps > 0 && allUses(value->uses(), [&](const Use& use) {
           if (isTypeOf(use, {"Softmax", "LogSoftmax", "Exp"})) return true;
           return (movesValues(*use.node) ||
                   isTypeOf(use, {"Add", "Sub", "Sum", "Mul", "Div", "Max", "Min", "Clip", "Where",
                                  "ReduceMax"})) &&
                  (isTypeOf(use, {"ReduceMax"}) || leadsToSoftmax(use.node->output(), steps - 1));
         });
}

// A stored value's elements.
Tensor storedTensor(const Graph& graph, const Value* value, ThreadPool& pool) {
  if (value->variable != nullptr) return value->variable->value;
  const Node* node = value->producer();
  if (node == nullptr) return value->constant;
  std::vector<Tensor> inputs;
  for (const Value* input : node->inputs()) {
    inputs.push_back(input == nullptr ? Tensor() : storedTensor(graph, input, pool));
  }
  return evaluateOnHost(graph, *node, inputs, pool)[value->outputIndex()];
}

// Zeros, and numbers so large that a Softmax leaves out what has them; `sign` -1 where they are
// added, 1 where they are subtracted.
bool leavesOut(const Tensor& tensor, double sign, double least) {
  const std::vector<double> values = tensor.toVector<double>();
  const auto is_large = [&](double v) { return v * sign >= least; };
  return std::any_of(values.begin(), values.end(), is_large) &&
         std::all_of(values.begin(), values.end(), [&](double v) { return v == 0 || is_large(v); });
}

bool isMask(const Stored& stored, const Graph& graph, const Variable& variable,
            const std::vector<Use>& uses) {
  constexpr double kLarge = 100, kSurelyLarge = 1e4;
  if (leavesOut(variable.value, -1, kSurelyLarge)) return true;
  ThreadPool pool(1);
  return allUses(uses, [&](const Use& use) {
    if (!isTypeOf(use, {"Add", "Sum", "Sub", "Where"}) || !leadsToSoftmax(use.node->output())) {
      return false;
    }
    // What is moved by indices that follow from data has the values of the variable.
    const Value* operand = operandOf(use);
    const Tensor values = stored.has(operand) ? storedTensor(graph, operand, pool) : variable.value;
    const bool is_subtracted = isTypeOf(use, {"Sub"}) && use.index == 1;
    return leavesOut(values, is_subtracted ? 1 : -1, kLarge);
  });
}

// ---- Uses of a parameter
// -------------------------------------------------------------------------

bool isNormalization(const Node& node) {
  const std::string& name = node.op().name;
  const std::string suffix = "Normalization";
  return name.size() > suffix.size() &&
         name.compare(name.size() - suffix.size(), suffix.size(), suffix) == 0;
}

bool isWeightUse(const Use& use) {
  return use.node->op().quantization.weight_input == static_cast<int>(use.index);
}

// What only a parameter is: a weight, a bias, a normalization's scale or bias, PRelu's slope.
bool isParameterUse(const Use& use) {
  const auto index = static_cast<int>(use.index);
  return isWeightUse(use) || use.node->op().quantization.bias_input == index ||
         (isNormalization(*use.node) && (index == 1 || index == 2)) ||
         (isTypeOf(use, {"PRelu"}) && index == 1);
}

// ---- Single numbers
// ------------------------------------------------------------------------------

bool isDividedBy(const Use& use) {
  return isTypeOf(use, {"Sqrt", "Log", "Reciprocal"}) ||
         (isTypeOf(use, {"Div"}) && use.index == 1) || (isTypeOf(use, {"Pow"}) && use.index == 0);
}

// Added to what is under a root, a logarithm or a fraction bar.
bool isEpsilon(const Stored& stored, const Use& use) {
  return isTypeOf(use, {"Add", "Max", "Sum"}) &&
         allUses(finalUses(stored, use.node->output()), isDividedBy);
}

// Why a single number belongs to the formula and is nothing that is learned; "" where it may be.
std::string whyNumber(const Stored& stored, const Variable& variable,
                      const std::vector<Use>& uses) {
  constexpr double kLargestEpsilon = 1e-2;
  if (isGeneratedName(variable.name)) return "a number that the exporter named";
  // A path of modules: the state_dict of PyTorch has it.
  if (variable.name.find('.') != std::string::npos) return "";
  if (allUses(uses, [](const Use& use) { return isTypeOf(use, {"Pow"}) && use.index == 1; })) {
    return "an exponent";
  }
  const double number = variable.value.toVector<double>()[0];
  if (std::fabs(number) <= kLargestEpsilon &&
      allUses(uses, [&](const Use& use) { return isEpsilon(stored, use); }))
    return "an epsilon";
  if (allUses(uses, [](const Use& use) { return isTypeOf(use, {"Min", "Max", "Where"}); })) {
    return "a bound or a filling";
  }
  return "";
}

// ---- Weights as constants
// ------------------------------------------------------------------------

// Used as a weight or as a table of embeddings.
bool servesAsWeight(const Stored& stored, const Value* value) {
  return anyUse(finalUses(stored, value), isWeightUse) || anyUse(value->uses(), [](const Use& use) {
           return isTypeOf(use, {"Gather"}) && use.index == 0;
         });
}

// Files of some converters keep every weight in a Constant node.
bool keepsWeightsInConstants(const Stored& stored, const Graph& graph) {
  const auto& variables = graph.variables();
  return std::none_of(variables.begin(), variables.end(), [&](const auto& variable) {
    return variable->role == VariableRole::kWeight && variable->value.size() > 1 &&
           servesAsWeight(stored, variable->source);
  });
}

// The values from which a gradient's way leads to an output, through inputs that are data.
std::unordered_set<const Value*> reachedValues(const Graph& graph) {
  std::unordered_set<const Value*> reached;
  std::vector<const Value*> pending;
  for (const GraphOutput& output : graph.outputs) pending.push_back(output.value);
  while (!pending.empty()) {
    const Value* value = pending.back();
    pending.pop_back();
    if (!isFloatingPoint(value->type.element) || !reached.insert(value).second) continue;
    const Node* node = value->producer();
    if (node == nullptr || node->op().gradient == nullptr || node->op().gradient_is_error) continue;
    for (size_t i = 0; i < node->inputCount(); ++i) {
      if (node->input(i) != nullptr && !node->op().isSetting(i)) pending.push_back(node->input(i));
    }
  }
  return reached;
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
std::string whyConstant(const Stored& stored, const Graph& graph, const Variable& variable,
                        const ParameterEvidence& evidence) {
  if (evidence.listed) {
    return evidence.listed->count(variable.name) != 0 ? ""
                                                      : "is not in the file's list of parameters";
  }
  const auto stated = evidence.stated.find(variable.name);
  if (stated != evidence.stated.end()) {
    return stated->second ? "" : "the exporter calls it a buffer or constant";
  }
  if (!isFinite(variable.value)) return "has values that are not finite";
  const std::vector<Use> uses = finalUses(stored, variable.source);
  if (isMask(stored, graph, variable, uses)) return "a mask";
  if (normalizesInput(stored, variable, uses)) return "normalizes the model's input";
  if (anyUse(uses, isParameterUse)) return "";
  if (!evidence.stated.empty()) return "the exporter does not call it a parameter";
  return variable.value.size() == 1 ? whyNumber(stored, variable, uses) : "";
}

}  // namespace

bool isGeneratedName(const std::string& name) {
  const auto startsWith = [&](const char* prefix) { return name.rfind(prefix, 0) == 0; };
  const auto has = [&](const char* part) { return name.find(part) != std::string::npos; };
  // TensorFlow's variables have such names, its constants similar ones.
  if (has("ReadVariableOp")) return false;
  if (startsWith("onnx::") || startsWith("/") || startsWith("const_") || has("Constant") ||
      has(":")) {
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
  const Stored before(graph);
  if (!evidence.listed && keepsWeightsInConstants(before, graph)) {
    const std::unordered_set<const Value*> reached = reachedValues(graph);
    promote(graph, [&](const Value& value) {
      return anyUse(finalUses(before, &value), isParameterUse) ||
             (value.type.size() > 1 && reached.count(&value) != 0);
    });
  }
  const Stored stored(graph);
  std::vector<ConstantInitializer> constants;
  std::vector<Variable*> variables;
  for (const auto& variable : graph.variables()) variables.push_back(variable.get());
  for (Variable* variable : variables) {
    if (variable->role != VariableRole::kWeight || matchesAny(variable->name, forced)) continue;
    const std::string reason = whyConstant(stored, graph, *variable, evidence);
    if (reason.empty()) continue;
    constants.push_back({variable->name, variable->value.dims(), reason});
    graph.freezeVariable(variable);
  }
  return constants;
}

}  // namespace simaqat
