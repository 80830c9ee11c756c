#include "qat/passes/simplify.h"

#include "qat/ir/op.h"

namespace simaqat {
namespace {

bool renames(const Node& node) {
  const std::string type = node.op().qualifiedName();
  if (type == "Concat" || type == "Sum") return node.inputCount() == 1;
  if (type == "Cast") return node.input(0)->type.element == node.output()->type.element;
  return type == "Identity";
}

}  // namespace

void removeIdentities(Graph& graph) {
  for (Node* node : graph.nodeSequence()) {
    if (!renames(*node)) continue;
    Value* from = node->output();
    Value* to = node->input(0);
    // A graph output's name belongs to the value that leaves.
    if (graph.isOutput(from) && (to->producer() == nullptr || graph.isOutput(to))) continue;
    const std::string name = from->name();
    const bool leaves = graph.isOutput(from);
    graph.replaceUses(from, to);
    graph.removeNode(node);
    if (leaves) {
      graph.rename(from, name + "/identity");
      graph.rename(to, name);
    }
  }
}

}  // namespace simaqat
