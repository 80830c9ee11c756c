#include <set>

#include "qat/ir/op.h"
#include "qat/passes/integer_forms.h"

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

}  // namespace

void meansToPools(Graph& graph) {
  for (Node* node : graph.nodeSequence()) {
    if (!isSpatialMean(*node)) continue;
    Value* mean = graph.add("GlobalAveragePool", node->name(), {node->input(0)}, nullptr, node);
    if (node->output()->type.rank() == 2) {
      mean = graph.add("Flatten", node->name() + "/flatten", {mean}, nullptr, node);
    }
    replaceNode(graph, node, mean);
  }
}

}  // namespace simaqat
