#include "qat/passes/quantizer_policy.h"

#include <algorithm>
#include <tuple>

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

bool QuantizerChoice::operator==(const QuantizerChoice& other) const {
  const auto fields = [](const QuantizerChoice& c) {
    return std::tie(c.quantize, c.bits, c.is_signed, c.symmetric, c.per_channel, c.observer,
                    c.percentile, c.averaging_constant);
  };
  return fields(*this) == fields(other);
}

bool QuantizerChoice::saysHow() const {
  QuantizerChoice how = *this;
  how.quantize.reset();
  return !(how == QuantizerChoice{});
}

QuantizerPolicy::QuantizerPolicy(const ScaffoldOptions& options, const Graph& graph)
    : options_(options),
      effective_activations_(options.overrides.size()),
      effective_weights_(options.overrides.size()) {
  Titles all;
  for (const Value* input : graph.inputs) all.push_back({kInput, input->name()});
  for (const auto& node : graph.nodes()) {
    const Title title{node->opType(), node->name()};
    all.push_back(title);
    by_name_.emplace(title.name, title);
    by_output_.emplace(node->output()->name(), title);
  }
  for (size_t i = 0; i < options.overrides.size(); ++i) {
    if (!matches(options.overrides[i], all)) throw inputError("{} matches no node", describe(i));
  }
}

QuantizerPolicy::Titles QuantizerPolicy::titlesOf(const Node& node) const {
  Titles titles = {{node.opType(), node.name()}};
  const auto source = by_output_.find(node.output()->name());
  const bool is_as_it_was = source != by_output_.end() && source->second.op_type == node.opType() &&
                            source->second.name == node.name();
  // Names of nodes need not be unique: one that was not rewritten answers to no other's title.
  if (is_as_it_was) return titles;
  if (source != by_output_.end()) titles.push_back(source->second);
  const auto [begin, end] = by_name_.equal_range(node.name());
  for (auto it = begin; it != end; ++it) titles.push_back(it->second);
  return titles;
}

QuantizerPolicy::Titles QuantizerPolicy::titlesOf(const std::vector<const Node*>& nodes) const {
  Titles titles;
  for (const Node* node : nodes) {
    for (Title& title : titlesOf(*node)) titles.push_back(std::move(title));
  }
  return titles;
}

bool QuantizerPolicy::matches(const QuantizationOverride& rule, const Titles& titles) {
  return std::any_of(titles.begin(), titles.end(), [&](const Title& title) {
    return (rule.op_type.empty() ? title.op_type != kInput : rule.op_type == title.op_type) &&
           (rule.node.empty() || matchesPattern(title.name, rule.node));
  });
}

QuantizerChoice QuantizerPolicy::choice(const Titles& titles, Part part,
                                        QuantizerChoice result) const {
  for (const QuantizationOverride& rule : options_.overrides) {
    if (matches(rule, titles)) result.update(rule.*part);
  }
  return result;
}

QuantizerChoice QuantizerPolicy::activation(const std::vector<const Node*>& fused) const {
  return choice(titlesOf(fused), &QuantizationOverride::activation, options_.activation);
}

QuantizerChoice QuantizerPolicy::weight(const Node& node) const {
  return choice(titlesOf(node), &QuantizationOverride::weight, options_.weight);
}

QuantizerChoice QuantizerPolicy::input(const Value& input) const {
  return choice({{kInput, input.name()}}, &QuantizationOverride::activation, options_.activation);
}

std::optional<int64_t> QuantizerPolicy::overriddenWeightBits(const Node& node) const {
  return choice(titlesOf(node), &QuantizationOverride::weight, {}).bits;
}

std::optional<int64_t> QuantizerPolicy::overriddenActivationBits(
    const std::vector<const Node*>& fused) const {
  return choice(titlesOf(fused), &QuantizationOverride::activation, {}).bits;
}

std::optional<QuantizerSpec> QuantizerPolicy::weightSpec(const Node& node) const {
  const QuantizerChoice asked = weight(node);
  const int64_t axis = node.op().quantization.weight_axis(node);
  if (axis < 0 || !asked.quantize.value_or(true)) return std::nullopt;
  const bool per_channel = asked.per_channel.value_or(true) && weightGroups(node) == 1;
  QuantizerSpec spec = weightQuantizer(per_channel ? axis : -1);
  setWeightBits(spec, asked.bits.value_or(8));
  applyObserver(asked, spec);
  return spec;
}

void QuantizerPolicy::note(const Titles& titles, std::vector<bool>& effective) const {
  for (size_t i = 0; i < effective.size(); ++i) {
    if (matches(options_.overrides[i], titles)) effective[i] = true;
  }
}

void QuantizerPolicy::noteActivation(const std::vector<const Node*>& fused) {
  note(titlesOf(fused), effective_activations_);
}

void QuantizerPolicy::noteWeight(const Node& node) { note(titlesOf(node), effective_weights_); }

void QuantizerPolicy::noteInput(const Value& input) {
  note({{kInput, input.name()}}, effective_activations_);
}

std::optional<QuantizerPolicy::Idle> QuantizerPolicy::firstIdle() const {
  for (size_t i = 0; i < options_.overrides.size(); ++i) {
    const QuantizationOverride& rule = options_.overrides[i];
    if (rule.activation.saysHow() && !effective_activations_[i]) return Idle{i, "activation"};
    if (rule.weight.saysHow() && !effective_weights_[i]) return Idle{i, "weight"};
  }
  return std::nullopt;
}

std::string QuantizerPolicy::describe(size_t override_index) const {
  const QuantizationOverride& rule = options_.overrides[override_index];
  return fmt::format("the recipe's override of{}{}",
                     rule.op_type.empty() ? "" : fmt::format(" op_type '{}'", rule.op_type),
                     rule.node.empty() ? "" : fmt::format(" node '{}'", rule.node));
}

bool QuantizerPolicy::isAbout(size_t override_index, const Node& node) const {
  return matches(options_.overrides[override_index], titlesOf(node));
}

QuantizerSpec activationSpec(const QuantizerChoice& asked, const std::string& culprit) {
  QuantizerSpec spec = activationQuantizer();
  spec.symmetric = asked.symmetric.value_or(false);
  setActivationBits(spec, asked.bits.value_or(8), asked.is_signed.value_or(false));
  applyObserver(asked, spec);
  if (spec.symmetric && spec.learnsOffset()) {
    throw inputError(
        "{}: the recipe asks for lsq_plus, which learns an offset, and for a symmetric quantizer, "
        "which has none (use lsq)",
        culprit);
  }
  return spec;
}

}  // namespace simaqat
