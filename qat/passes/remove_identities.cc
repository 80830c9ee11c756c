#include "qat/passes/simplify.h"

namespace simaqat {

void removeIdentities(Graph& graph) {
  for (Node* node : graph.nodeSequence()) {
    const std::string& type = node->op().qualifiedName();
    const bool renames =
        type == "Identity" || ((type == "Concat" || type == "Sum") && node->inputCount() == 1);
    if (!renames) continue;
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
