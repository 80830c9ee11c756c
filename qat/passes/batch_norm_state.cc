#include "qat/passes/batch_norm_state.h"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "qat/ir/op.h"
#include "qat/ops/shared/batch_norm_attributes.h"
#include "qat/passes/stored.h"

namespace simaqat {
namespace {

using ops::BatchNormAttributes;

bool isBatchNorm(const Node& node) { return node.op().qualifiedName() == "BatchNormalization"; }

// Through Identity, and through a BatchNormalization before this one that shares the state.
const Value* rootOf(const Value* value) {
  while (const Node* producer = value->producer()) {
    if (producer->op().qualifiedName() == "Identity") {
      value = producer->input(0);
    } else if (isBatchNorm(*producer) && value->outputIndex() > 0) {
      value = producer->input(value->outputIndex() + 2);
    } else {
      break;
    }
  }
  return value;
}

using Key = std::array<const Value*, 5>;

Key keyOf(const Node& node) {
  Key key{};
  for (size_t i = 0; i < 4; ++i) key[i] = rootOf(node.input(i + 1));
  const Node* front = node.input(0)->producer();
  const int weight = front == nullptr ? -1 : front->op().quantization.weight_input;
  if (weight >= 0) key[4] = rootOf(front->input(static_cast<size_t>(weight)));
  // Without a weight in front there is nothing that says the node is used twice.
  if (key[4] == nullptr) key[4] = node.output();
  return key;
}

VariableRole roleOf(size_t slot) {
  return slot < 2 ? VariableRole::kWeight : VariableRole::kBatchNormStatistic;
}

constexpr const char* kSlotNames[] = {"weight", "bias", "running_mean", "running_var"};

}  // namespace

int separateBatchNormState(Graph& graph) {
  // Who holds an initializer: the first group of nodes that came, in one of four places.
  std::map<const Value*, std::pair<Key, size_t>> owner;
  std::map<std::pair<Key, size_t>, Value*> copies;
  int copied = 0;
  for (Node* node : graph.nodeSequence()) {
    if (!isBatchNorm(*node)) continue;
    const Key key = keyOf(*node);
    for (size_t slot = 0; slot < 4; ++slot) {
      const auto claim = std::make_pair(key, slot);
      Value* given = node->input(slot + 1);
      auto* root = const_cast<Value*>(key[slot]);
      if (root->variable == nullptr && !root->isConstant()) {
        // What is computed from parameters is no state.
        if (isStored(root)) continue;
        node->fail(
            "input {}: '{}' is computed from the data; expected an initializer, or what "
            "is computed from parameters",
            slot + 1, root->name());
      }
      const auto [holder, first] = owner.emplace(root, claim);
      Value* own = root;
      if (!first && holder->second != claim) {
        const auto [copy, fresh] = copies.emplace(claim, nullptr);
        if (fresh) {
          // The exporter's Identity kept the name that this node's own initializer had.
          const bool named = given->producer() != nullptr;
          const std::string name =
              named ? given->name() : fmt::format("{}/{}", node->name(), kSlotNames[slot]);
          if (named) graph.rename(given, name + "/merged");
          const Tensor value = root->variable != nullptr ? root->variable->value : root->constant;
          copy->second = graph.addVariable(name, roleOf(slot), value)->source;
          ++copied;
        }
        own = copy->second;
      } else if (root->variable == nullptr && !node->input(slot + 1)->isConstant()) {
        own = root;
      }
      if (own->variable != nullptr) own->variable->role = roleOf(slot);
      node->setInput(slot + 1, own);
    }
  }
  return copied;
}

namespace {

// The node again, with other attributes and so many outputs; those that were there keep their
// names.
Node* replace(Graph& graph, Node* node, const BatchNormAttributes& attributes,
              size_t output_count) {
  Graph::NodeOptions options;
  options.before = node;
  options.output_count = output_count;
  Node* replacement = graph.addNode("BatchNormalization", node->name(), node->inputs(),
                                    wrapAttributes(attributes), options);
  replacement->output()->quantizer = node->output()->quantizer;
  std::vector<std::string> names;
  for (size_t i = 0; i < std::min(node->outputCount(), output_count); ++i) {
    names.push_back(node->output(i)->name());
    graph.replaceUses(node->output(i), replacement->output(i));
    graph.rename(node->output(i), names[i] + "/replaced");
  }
  graph.removeNode(node);
  for (size_t i = 0; i < names.size(); ++i) graph.rename(replacement->output(i), names[i]);
  return replacement;
}

// A training BatchNormalization's outputs 1 and 2 are its statistics after the step.
void train(Graph& graph, Node* node) {
  BatchNormAttributes attributes = node->attributes<BatchNormAttributes>();
  attributes.training_mode = true;
  for (size_t slot = 3; slot < 5; ++slot) {
    Value* source = node->input(slot);
    if (source->isConstant() && source->variable == nullptr) {
      const std::string name = source->name();
      graph.rename(source, name + "/constant");
      Variable* variable =
          graph.addVariable(name, VariableRole::kBatchNormStatistic, source->constant);
      graph.replaceUses(source, variable->source);
    }
  }
  Node* replacement = replace(graph, node, attributes, 3);
  // Where a later node shares the state, it goes on from what this one made of it.
  for (size_t slot = 3; slot < 5; ++slot) {
    Value* before = replacement->input(slot);
    Value* after = replacement->output(slot - 2);
    const auto uses = before->uses();
    for (const Use& use : uses) {
      if (use.node != replacement && isBatchNorm(*use.node)) use.node->setInput(use.index, after);
    }
    auto* root = const_cast<Value*>(rootOf(before));
    if (root->variable != nullptr) root->variable->setNext(after);
  }
}

void freeze(Graph& graph, Node* node) {
  BatchNormAttributes attributes = node->attributes<BatchNormAttributes>();
  attributes.training_mode = false;
  for (size_t i = 1; i < node->outputCount(); ++i) {
    graph.replaceUses(node->output(i), node->input(i + 2));
  }
  replace(graph, node, attributes, 1);
}

}  // namespace

BatchNormDecision decideBatchNorm(Graph& graph, BatchNormPolicy policy) {
  BatchNormDecision decision;
  std::vector<Node*> nodes;
  bool any_trains = false;
  for (Node* node : graph.nodeSequence()) {
    if (!isBatchNorm(*node)) continue;
    nodes.push_back(node);
    any_trains = any_trains || node->attributes<BatchNormAttributes>().training_mode;
  }
  decision.from_evaluation_export =
      policy == BatchNormPolicy::kAuto && !any_trains && !nodes.empty();
  for (Node* node : nodes) {
    const bool trains = policy == BatchNormPolicy::kTrain ||
                        (policy != BatchNormPolicy::kFrozen &&
                         (decision.from_evaluation_export ||
                          node->attributes<BatchNormAttributes>().training_mode));
    if (trains) {
      train(graph, node);
      ++decision.training;
    } else {
      freeze(graph, node);
      ++decision.frozen;
    }
  }
  return decision;
}

}  // namespace simaqat
