#include "qat/passes/attention.h"

#include <algorithm>
#include <set>
#include <string>
#include <unordered_set>

#include "qat/ir/op.h"
#include "qat/passes/regions.h"
#include "qat/passes/stored.h"

namespace simaqat {
namespace {

bool isOneOf(const Node& node, const std::set<std::string>& names) {
  return names.count(node.op().qualifiedName()) != 0;
}

// Or masks.
bool scales(const Node& node) { return isOneOf(node, {"Add", "Div", "Mul", "Sub", "Where"}); }

bool isFloat(const Value* value) {
  return value != nullptr && value->type.element == ElementType::kFloat;
}

bool multipliesStoredWeight(const Node* node) {
  if (node == nullptr) return false;
  const int weight = node->op().quantization.weight_input;
  return weight >= 0 && isStored(node->input(static_cast<size_t>(weight)));
}

class SoftmaxFinder {
 public:
  SoftmaxFinder(const Graph& graph, const std::unordered_set<const Node*>& approximated)
      : graph_(graph),
        approximated_(approximated),
        stored_(storedValues(graph)),
        taken_(approximated) {
    for (const Function& function : functionsOf(graph)) {
      const auto& nodes = function.nodes;
      if (!std::all_of(nodes.begin(), nodes.end(),
                       [](const Node* node) { return scales(*node); })) {
        taken_.insert(nodes.begin(), nodes.end());
      }
    }
    findMaskLike();
  }

  std::unordered_map<const Node*, const Node*> run() {
    for (const auto& node : graph_.nodes()) {
      if (isOneOf(*node, {"Softmax", "LogSoftmax"})) walkBack(*node);
    }
    addMasks();
    return std::move(inside_);
  }

 private:
  // Made of stored values, inputs and shapes by elementwise operators and movements alone.
  bool isMaskLike(const Value* value) const {
    return value == nullptr || stored_.count(value) != 0 || value->producer() == nullptr ||
           mask_like_.count(value) != 0;
  }

  void findMaskLike() {
    for (const auto& node : graph_.nodes()) {
      const bool computes = node->op().quantization.output == OutputQuantization::kComputes &&
                            !isBasicElementwise(node->op()) &&
                            !isOneOf(*node, {"Cast", "Where", "Trilu"});
      if (computes && isFloat(node->output())) continue;
      const auto& inputs = node->inputs();
      if (!std::all_of(inputs.begin(), inputs.end(),
                       [&](const Value* v) { return isMaskLike(v); })) {
        continue;
      }
      mask_like_.insert(node->outputs().begin(), node->outputs().end());
    }
  }

  // The operand that is no mask; null where that is none, or several are.
  const Value* scoresOf(const Node& node) const {
    const Value* scores = nullptr;
    for (const Value* input : node.inputs()) {
      if (!isFloat(input) || isMaskLike(input)) continue;
      if (scores != nullptr) return nullptr;
      scores = input;
    }
    return scores;
  }

  void walkBack(const Node& softmax) {
    const Value* value = softmax.input(0);
    while (const Node* node = value->producer()) {
      const bool is_taken = graph_.useCount(value) != 1 || taken_.count(node) != 0;
      const bool moves = sharesQuantizer(*node) && node->outputCount() == 1;
      if (is_taken || !(moves || scales(*node))) return;
      const Value* scores = moves ? node->input(0) : scoresOf(*node);
      if (scores == nullptr) return;
      // A layer's bias belongs to the layer.
      if (multipliesStoredWeight(scores->producer()) && isOneOf(*node, {"Add"})) return;
      if (!moves) inside_.emplace(node, &softmax);
      value = scores;
    }
  }

  // Behind their consumers, so that these are known.
  void addMasks() {
    const auto& nodes = graph_.nodes();
    for (auto it = nodes.rbegin(); it != nodes.rend(); ++it) {
      const Node* node = it->get();
      if (inside_.count(node) != 0 || approximated_.count(node) != 0) continue;
      if (node->outputCount() != 1) continue;
      const Value* output = node->output();
      const auto& uses = output->uses();
      const bool is_mask =
          mask_like_.count(output) != 0 && !graph_.isOutput(output) && !uses.empty() &&
          std::all_of(uses.begin(), uses.end(),
                      [&](const Use& use) { return inside_.count(use.node) != 0; });
      if (is_mask) inside_.emplace(node, inside_.at(uses[0].node));
    }
  }

  const Graph& graph_;
  const std::unordered_set<const Node*>& approximated_;
  const std::unordered_set<const Value*> stored_;
  std::unordered_set<const Node*> taken_;  // by other functions
  std::unordered_set<const Value*> mask_like_;
  std::unordered_map<const Node*, const Node*> inside_;
};

}  // namespace

std::unordered_map<const Node*, const Node*> insideSoftmaxes(
    const Graph& graph, const std::unordered_set<const Node*>& approximated) {
  return SoftmaxFinder(graph, approximated).run();
}

}  // namespace simaqat
