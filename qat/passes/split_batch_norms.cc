#include "qat/passes/split_batch_norms.h"

#include <algorithm>
#include <unordered_map>

#include "qat/ir/op.h"
#include "qat/ir/pointwise.h"
#include "qat/ops/shared/batch_norm_attributes.h"
#include "qat/passes/monotone_chain.h"

namespace simaqat {
namespace {

enum Output { kCenter, kFactor, kOffset, kRunningMean, kRunningVar, kMean, kInvStd, kExtremes };

// From a BatchNormTraining to its statistics: outputs 1 to 4 are those of BatchNormTraining.
Node* split(Graph& graph, Node* node) {
  Graph::NodeOptions options;
  options.before = node;
  options.output_count = 8;
  Node* statistics = graph.addNode("simaqat::BatchNormStatistics", node->name(), node->inputs(),
                                   node->rawAttributes().clone(), options);
  Value* y = graph.add("simaqat::Normalize", node->name(),
                       {node->input(0), statistics->output(kCenter), statistics->output(kFactor),
                        statistics->output(kOffset)},
                       nullptr, node);
  graph.replaceUses(node->output(0), y);
  for (size_t i = 1; i < 5; ++i)
    graph.replaceUses(node->output(i), statistics->output(kOffset + i));
  graph.removeNode(node);
  return statistics;
}

// From a BatchNormalization with running statistics.
void splitFrozen(Graph& graph, Node* node) {
  Graph::NodeOptions options;
  options.before = node;
  options.output_count = 3;
  const Node* line = graph.addNode("simaqat::BatchNormLine", node->name(), node->inputs(),
                                   node->rawAttributes().clone(), options);
  Value* y =
      graph.add("simaqat::Normalize", node->name(),
                {node->input(0), line->output(0), line->output(1), line->output(2)}, nullptr, node);
  y->quantizer = node->output()->quantizer;
  graph.replaceUses(node->output(), y);
  graph.removeNode(node);
}

// What a chain of monotone operators from x to `value` makes of the extremes of x; null where there
// is no such chain.
Value* ofExtremes(Graph& graph, const Value* value, const Node* statistics, Node* before) {
  const auto chain = monotoneChain(value, statistics->input(0));
  if (!chain) return nullptr;
  Value* result = statistics->output(kExtremes);
  for (const Node* node : *chain) {
    std::vector<Value*> inputs = node->inputs();
    inputs[0] = result;
    result = graph.add(node->op().qualifiedName(), node->name(), inputs,
                       node->rawAttributes().clone(), before);
  }
  return result;
}

// Statistics by the value that they are of.
using StatisticsOf = std::unordered_map<const Value*, const Node*>;

// Those of the values that monotone operators alone make this one of, the first in the graph first.
std::vector<const Node*> statisticsBehind(const Value* value, const StatisticsOf& all) {
  std::vector<const Node*> found;
  while (true) {
    const auto statistics = all.find(value);
    if (statistics != all.end()) found.push_back(statistics->second);
    const Node* node = value->producer();
    if (node == nullptr || !isPointwise(*node) || !node->op().pointwise.is_monotone) break;
    value = node->input(0);
  }
  std::reverse(found.begin(), found.end());
  return found;
}

bool canSplit(const Node& node) {
  const TensorType& type = node.input(0)->type;
  return type.element == ElementType::kFloat && type.rank() >= 2 && type.size() > 0;
}

}  // namespace

void splitBatchNorms(Graph& graph) {
  StatisticsOf all;
  for (Node* node : graph.nodeSequence()) {
    const std::string name = node->op().qualifiedName();
    if (name == "simaqat::BatchNormTraining" && canSplit(*node)) {
      const Node* statistics = split(graph, node);
      all.emplace(statistics->input(0), statistics);
    }
    if (name == "BatchNormalization" && canSplit(*node)) splitFrozen(graph, node);
  }
  for (Node* node : graph.nodeSequence()) {
    if (node->op().qualifiedName() != "simaqat::ObserveRange") continue;
    for (const Node* statistics : statisticsBehind(node->input(0), all)) {
      if (Value* extremes = ofExtremes(graph, node->input(0), statistics, node)) {
        node->setInput(0, extremes);
        break;
      }
    }
  }
}

}  // namespace simaqat
