#include "qat/ir/op.h"
#include "qat/passes/integer_forms.h"

namespace simaqat {

void sumsToAdds(Graph& graph) {
  for (Node* node : graph.nodeSequence()) {
    if (node->op().qualifiedName() != "Sum" || node->inputCount() < 2) continue;
    Value* sum = node->input(0);
    for (size_t i = 1; i < node->inputCount(); ++i) {
      // Node names are unique: ONNX Runtime refuses a file in which they are not.
      const bool last = i + 1 == node->inputCount();
      const std::string name = last ? node->name() : fmt::format("{}/{}", node->name(), i);
      sum = graph.add("Add", name, {sum, node->input(i)}, nullptr, node);
    }
    replaceNode(graph, node, sum);
  }
}

}  // namespace simaqat
