#include "qat/passes/stored.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "qat/ir/op.h"
#include "qat/ops/shared/batch_norm_attributes.h"

namespace simaqat {
namespace {

bool isLeaf(const Value* value) { return value->variable != nullptr || value->isConstant(); }

// Whether the results are the same function of the inputs in every mode. Stored codes are a
// quantizer's, and not part of a computation in float.
bool isComputation(const Node& node) {
  const OpDefinition& op = node.op();
  const std::string name = op.qualifiedName();
  if (name == "simaqat::StopGradient") return true;
  if (!op.domain.empty() || op.random || op.commits || node.inputCount() == 0) return false;
  if (name == "QuantizeLinear" || name == "DequantizeLinear") return false;
  if (name == "BatchNormalization")
    return !node.attributes<ops::BatchNormAttributes>().training_mode;
  return op.specialize == nullptr;
}

bool isShape(const Node& node) {
  const std::string name = node.op().qualifiedName();
  return name == "Shape" || name == "Size";
}

std::unordered_set<const Value*> walk(const Graph& graph, bool with_shapes) {
  std::unordered_set<const Value*> found;
  const auto is_found = [&](const Value* v) {
    return v == nullptr || isLeaf(v) || found.count(v) != 0;
  };
  for (const auto& value : graph.values()) {
    if (isLeaf(value.get())) found.insert(value.get());
  }
  for (const auto& node : graph.nodes()) {
    const auto& inputs = node->inputs();
    const bool is_in =
        (with_shapes && isShape(*node)) ||
        (isComputation(*node) && std::all_of(inputs.begin(), inputs.end(), is_found));
    if (is_in) found.insert(node->outputs().begin(), node->outputs().end());
  }
  return found;
}

// Each node is evaluated once, however often its results are used.
class Evaluation {
 public:
  explicit Evaluation(const Graph& graph) : graph_(graph) {}

  Tensor of(const Value* value) {
    if (value == nullptr) return {};
    if (value->variable != nullptr) return value->variable->value;
    if (value->isConstant()) return value->constant;
    const Node* node = value->producer();
    auto found = results_.find(node);
    if (found == results_.end()) {
      std::vector<Tensor> inputs;
      for (const Value* input : node->inputs()) inputs.push_back(of(input));
      found = results_.emplace(node, evaluateOnHost(graph_, *node, inputs, pool_)).first;
    }
    return found->second[value->outputIndex()];
  }

 private:
  const Graph& graph_;
  ThreadPool pool_{1};
  std::unordered_map<const Node*, std::vector<Tensor>> results_;
};

}  // namespace

bool isStored(const Value* value) {
  if (value == nullptr) return false;
  // One input that is not settles it, so that each value needs to be looked at once.
  std::vector<const Value*> open = {value};
  std::unordered_set<const Value*> seen;
  while (!open.empty()) {
    const Value* next = open.back();
    open.pop_back();
    if (isLeaf(next) || !seen.insert(next).second) continue;
    const Node* node = next->producer();
    if (node == nullptr || !isComputation(*node)) return false;
    for (const Value* input : node->inputs()) {
      if (input != nullptr) open.push_back(input);
    }
  }
  return true;
}

Tensor storedTensor(const Graph& graph, const Value* value) {
  return isStored(value) ? Evaluation(graph).of(value) : Tensor();
}

std::unordered_set<const Value*> storedValues(const Graph& graph) { return walk(graph, false); }
std::unordered_set<const Value*> valuesWithoutData(const Graph& graph) { return walk(graph, true); }

}  // namespace simaqat
