#include "qat/passes/integer_forms.h"

namespace simaqat {

void replaceNode(Graph& graph, Node* node, Value* by) {
  Value* old = node->output();
  const std::string name = old->name();
  graph.replaceUses(old, by);
  graph.rename(old, name + "/replaced");
  graph.rename(by, name);
  graph.removeNode(node);
}

}  // namespace simaqat
