#include "qat/passes/divisors.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "qat/ir/op.h"
#include "qat/passes/match.h"
#include "qat/passes/stored.h"

namespace simaqat {
namespace {

// What is added to keep a divisor from 0 is less; a sum with more is far enough from it.
constexpr double kMostEpsilon = 0.01;

// The input whose 0 makes the result or the gradient infinite, or null.
const Value* argument(const Node& node) {
  const std::string type = node.op().qualifiedName();
  if (type == "Div") return node.input(1);
  if (type == "Log" || type == "Reciprocal" || type == "Sqrt") return node.input(0);
  if (type != "Pow") return nullptr;
  const std::optional<double> exponent = constantNumber(node.input(1));
  return exponent && *exponent < 1 ? node.input(0) : nullptr;
}

}  // namespace

Divisors::Divisors(const Graph& graph) : stored_(storedValues(graph)) {
  for (const auto& node : graph.nodes()) mark(argument(*node), *node);
}

const Node* Divisors::dividedBy(const Value* value) const {
  const auto found = marked_.find(value);
  return found == marked_.end() ? nullptr : found->second;
}

bool Divisors::leadsToOne(const Use& use) const {
  const Node& node = *use.node;
  const Value* value = node.input(use.index);
  const bool is_kept_small = inFront(node) == value && dividedBy(node.output()) != nullptr;
  return is_kept_small || argument(node) == value;
}

void Divisors::mark(const Value* value, const Node& node) {
  while (value != nullptr && isData(value) && marked_.emplace(value, &node).second) {
    value = value->producer() == nullptr ? nullptr : inFront(*value->producer());
  }
}

bool Divisors::isData(const Value* value) const {
  return value->type.element == ElementType::kFloat && stored_.count(value) == 0;
}

// The input that is small where the node's result is, or null.
const Value* Divisors::inFront(const Node& node) const {
  const bool is_transparent = node.op().quantization.output == OutputQuantization::kTransparent;
  if (sharesQuantizer(node) || is_transparent) return node.input(0);
  static const std::set<std::string> kKeepSmall = {"Abs", "Add", "Clip", "Div",  "Max",  "Min",
                                                   "Mul", "Neg", "Pow",  "Relu", "Sqrt", "Sub"};
  if (kKeepSmall.count(node.op().qualifiedName()) == 0 || isShifted(node)) return nullptr;
  const Value* data = nullptr;
  for (const Value* input : node.inputs()) {
    if (input == nullptr || !isData(input)) continue;
    if (data != nullptr) return nullptr;
    data = input;
  }
  return data;
}

// By more than an epsilon.
bool Divisors::isShifted(const Node& node) const {
  const std::string type = node.op().qualifiedName();
  if (type != "Add" && type != "Sub") return false;
  return std::any_of(node.inputs().begin(), node.inputs().end(), [&](const Value* input) {
    if (isData(input)) return false;
    const std::optional<double> number = constantNumber(input);
    return !number || std::fabs(*number) > kMostEpsilon;
  });
}

}  // namespace simaqat
