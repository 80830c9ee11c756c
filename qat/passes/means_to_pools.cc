#include <algorithm>
#include <set>

#include "qat/ir/op.h"
#include "qat/passes/integer_forms.h"
#include "qat/passes/regions.h"

namespace simaqat {
namespace {

bool isSpatialMean(const Node& node) {
  if (node.op().qualifiedName() != "ReduceMean" || !node.input(0)->type.shape) return false;
  const auto rank = static_cast<int64_t>(node.input(0)->type.rank());
  const Value* axes = node.input(1);
  if (rank < 3 || axes == nullptr || !axes->isConstant() || !node.output()->type.shape) return false;
  std::set<int64_t> reduced;
  for (const int64_t axis : axes->constant.toVector<int64_t>()) {
    reduced.insert(axis < 0 ? axis + rank : axis);
  }
  // Counted from 2 to the last: neither the batch nor the channels.
  return static_cast<int64_t>(reduced.size()) == rank - 2 && *reduced.begin() == 2;
}

// A LayerNormalization's mean, written as nodes, stays a part of it: there, others read what is
// reduced as well.
std::set<const Node*> meansOfNormalizations(const Graph& graph) {
  std::set<const Node*> means;
  for (const Function& function : functionsOf(graph)) {
    const bool reads_again =
        std::any_of(function.nodes.begin(), function.nodes.end(), [&](const Node* node) {
          const auto& inputs = node->inputs();
          return node->op().qualifiedName() != "ReduceMean" &&
                 std::find(inputs.begin(), inputs.end(), function.root) != inputs.end();
        });
    if (function.of_rows && reads_again) means.insert(function.nodes.begin(), function.nodes.end());
  }
  return means;
}

}  // namespace

void meansToPools(Graph& graph) {
  const std::set<const Node*> of_rows = meansOfNormalizations(graph);
  for (Node* node : graph.nodeSequence()) {
    if (!isSpatialMean(*node) || of_rows.count(node) != 0) continue;
    Value* mean = graph.add("GlobalAveragePool", node->name(), {node->input(0)}, nullptr, node);
    if (node->output()->type.rank() == 2) {
      mean = graph.add("Flatten", node->name() + "/flatten", {mean}, nullptr, node);
    }
    replaceNode(graph, node, mean);
  }
}

}  // namespace simaqat
