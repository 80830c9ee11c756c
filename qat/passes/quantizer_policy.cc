#include "qat/passes/quantizer_policy.h"

#include <algorithm>

#include "qat/ir/op.h"
#include "qat/passes/pattern.h"

namespace simaqat {
namespace {

// What stands for an operator at the model's inputs.
constexpr char kInput[] = "input";

template <class T>
void take(std::optional<T>& to, const std::optional<T>& from) {
  if (from) to = from;
}

bool matches(const std::string& op_type, const std::string& name,
             const QuantizationOverride& rule) {
  return (rule.op_type.empty() ? op_type != kInput : rule.op_type == op_type) &&
         (rule.node.empty() || matchesPattern(name, rule.node));
}

bool matchesAny(const Graph& graph, const QuantizationOverride& rule) {
  const auto& nodes = graph.nodes();
  return std::any_of(nodes.begin(), nodes.end(),
                     [&](const auto& node) { return matches(node->opType(), node->name(), rule); }) ||
         std::any_of(graph.inputs.begin(), graph.inputs.end(),
                     [&](const Value* input) { return matches(kInput, input->name(), rule); });
}

void applyObserver(const QuantizerChoice& asked, QuantizerSpec& spec) {
  if (asked.observer) spec.observer = *asked.observer;
  if (asked.percentile) spec.percentile = *asked.percentile;
  if (asked.averaging_constant) spec.averaging_constant = *asked.averaging_constant;
}

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

QuantizerChoice QuantizerPolicy::choice(const std::string& op_type, const std::string& name,
                                        QuantizerChoice QuantizationOverride::*member,
                                        QuantizerChoice result) const {
  for (const QuantizationOverride& rule : options_.overrides) {
    if (matches(op_type, name, rule)) result.update(rule.*member);
  }
  return result;
}

QuantizerChoice QuantizerPolicy::activation(const Node& node) const {
  return choice(node.opType(), node.name(), &QuantizationOverride::activation,
                options_.activation);
}

QuantizerChoice QuantizerPolicy::weight(const Node& node) const {
  return choice(node.opType(), node.name(), &QuantizationOverride::weight, options_.weight);
}

QuantizerChoice QuantizerPolicy::input(const Value& input) const {
  return choice(kInput, input.name(), &QuantizationOverride::activation, options_.activation);
}

std::optional<QuantizerSpec> QuantizerPolicy::weightSpec(const Node& node) const {
  const QuantizerChoice asked = weight(node);
  const int64_t axis = node.op().quantization.weight_axis(node);
  if (axis < 0 || !asked.quantize.value_or(true)) return std::nullopt;
  QuantizerSpec spec = weightQuantizer(asked.per_channel.value_or(true) ? axis : -1);
  setWeightBits(spec, asked.bits.value_or(8));
  applyObserver(asked, spec);
  return spec;
}

void QuantizerPolicy::checkOverrides(const Graph& graph) const {
  for (const QuantizationOverride& rule : options_.overrides) {
    if (matchesAny(graph, rule)) continue;
    throw inputError("the recipe's override of{}{} matches no node",
                     rule.op_type.empty() ? "" : fmt::format(" op_type '{}'", rule.op_type),
                     rule.node.empty() ? "" : fmt::format(" node '{}'", rule.node));
  }
}

QuantizerSpec activationSpec(const QuantizerChoice& asked) {
  QuantizerSpec spec = activationQuantizer();
  spec.symmetric = asked.symmetric.value_or(false);
  setActivationBits(spec, asked.bits.value_or(8), asked.is_signed.value_or(false));
  applyObserver(asked, spec);
  return spec;
}

}  // namespace simaqat
