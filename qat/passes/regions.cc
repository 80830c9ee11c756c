#include "qat/passes/regions.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "qat/ir/op.h"
#include "qat/passes/stored.h"

namespace simaqat {
namespace {

using Names = std::set<std::string>;

bool isOneOf(const Node& node, const Names& names) {
  return names.count(node.op().qualifiedName()) != 0;
}

// Along an axis, with the dimension kept: what normalizes a row.
bool isReduction(const Node& node) {
  static const Names kNames = {"ReduceL2", "ReduceMax", "ReduceMean", "ReduceSum",
                               "ReduceSumSquare"};
  return isOneOf(node, kNames) && node.input(0)->type.shape.has_value() &&
         node.output()->type.shape.has_value() &&
         node.input(0)->type.rank() == node.output()->type.rank();
}

bool isScalar(const Value* value) { return value->isConstant() && value->constant.size() == 1; }

// An activation that ends in the Conv, Gemm or BatchNormalization in front of it.
bool isFusedActivation(const Graph& graph, const Node& node) {
  const auto is_activation = node.op().quantization.is_activation;
  const Node* producer = node.input(0)->producer();
  return is_activation != nullptr && is_activation(node) && producer != nullptr &&
         producer->op().quantization.fuses_activation && !isBasicElementwise(producer->op()) &&
         graph.useCount(node.input(0)) == 1;
}

class FunctionFinder {
 public:
  explicit FunctionFinder(const Graph& graph) : graph_(graph), stored_(storedValues(graph)) {}

  std::vector<Function> run() {
    // A value that something outside sees starts a function of its own, which may change what its
    // readers are functions of: until no more is found.
    while (findRoots(), findExits()) {
    }
    std::map<const Node*, Function> functions;  // by their ends
    std::vector<const Node*> ends;
    for (const auto& node : graph_.nodes()) {
      const auto root = roots_.find(node->output());
      if (root == roots_.end()) continue;
      const Node* end = endOf(node.get());
      if (end == node.get()) ends.push_back(end);
      Function& function = functions[end];
      function.nodes.push_back(node.get());
      function.root = root->second;
      function.of_rows = function.of_rows || normalized_.count(node->output()) != 0;
    }
    std::vector<Function> result;
    for (const Node* end : ends) result.push_back(std::move(functions.at(end)));
    return result;
  }

 private:
  // The one value that the node's result is a function of, or null.
  const Value* rootOf(const Node& node) {
    if (node.outputCount() != 1 || node.output()->type.element != ElementType::kFloat) {
      return nullptr;
    }
    const bool reduces = isReduction(node);
    if (!reduces && (!isBasicElementwise(node.op()) || isFusedActivation(graph_, node))) return nullptr;
    const Value* root = nullptr;
    bool normalized = reduces;
    for (const Value* input : node.inputs()) {
      if (input == nullptr || isScalar(input) || isStored(input)) continue;
      const Value* from = rootOfValue(input);
      if (root != nullptr && from != root) return nullptr;
      root = from;
      normalized = normalized || (from != input && normalized_.count(input) != 0);
    }
    for (size_t i = reduces ? 1 : 0; i < node.inputCount(); ++i) {
      const Value* input = node.input(i);
      const bool is_vector = !reduces && input != nullptr && isStored(input) && !isScalar(input);
      // Scale and bias of a normalization belong to it; others are operands of their own.
      if (is_vector && !normalized) return nullptr;
    }
    if (root != nullptr && normalized) normalized_.insert(node.output());
    return root;
  }

  bool isStored(const Value* value) const { return stored_.count(value) != 0; }

  const Value* rootOfValue(const Value* value) const {
    const auto root = roots_.find(value);
    return root == roots_.end() || exits_.count(value) != 0 ? value : root->second;
  }

  void findRoots() {
    roots_.clear();
    normalized_.clear();
    for (const auto& node : graph_.nodes()) {
      if (const Value* root = rootOf(*node)) roots_[node->output()] = root;
    }
  }

  // Whether there are new ones.
  bool findExits() {
    const size_t before = exits_.size();
    for (const auto& [value, root] : roots_) {
      const Value* its_root = root;
      const auto& uses = value->uses();
      const bool seen =
          graph_.isOutput(value) || std::any_of(uses.begin(), uses.end(), [&](const Use& use) {
            const auto user = roots_.find(use.node->output());
            return user == roots_.end() || user->second != its_root;
          });
      if (seen) exits_.insert(value);
    }
    return exits_.size() > before;
  }

  const Node* endOf(const Node* node) const {
    while (exits_.count(node->output()) == 0) node = node->output()->uses()[0].node;
    return node;
  }

  const Graph& graph_;
  const std::unordered_set<const Value*> stored_;
  std::unordered_map<const Value*, const Value*> roots_;
  std::set<const Value*> exits_;
  std::set<const Value*> normalized_;  // results that a reduction has gone into
};

// Mul(x, Sigmoid(x)).
bool isSiLU(const Node& end) {
  if (end.op().qualifiedName() != "Mul") return false;
  for (size_t i = 0; i < 2; ++i) {
    const Node* gate = end.input(i)->producer();
    if (gate != nullptr && gate->op().qualifiedName() == "Sigmoid" &&
        gate->input(0) == end.input(1 - i)) {
      return true;
    }
  }
  return false;
}

}  // namespace

bool isBasicElementwise(const OpDefinition& op) {
  static const Names kNames = {
      "Abs",  "Add", "Celu", "Clip", "Div",      "Elu",  "Erf", "Exp",        "HardSigmoid",
      "Log",  "Max", "Min",  "Mul",  "Neg",      "Pow",  "Reciprocal", "Relu", "Sigmoid",
      "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Tanh"};
  return kNames.count(op.qualifiedName()) != 0;
}

std::vector<Function> functionsOf(const Graph& graph) { return FunctionFinder(graph).run(); }

std::unordered_map<const Node*, const Node*> insideFunctions(const Graph& graph) {
  std::unordered_map<const Node*, const Node*> inside;
  for (const Function& function : functionsOf(graph)) {
    if (isSiLU(*function.end())) continue;
    for (const Node* node : function.nodes) {
      if (node != function.end()) inside.emplace(node, function.end());
    }
  }
  return inside;
}

}  // namespace simaqat
