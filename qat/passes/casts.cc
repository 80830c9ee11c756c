#include "qat/passes/integer_forms.h"
#include "qat/passes/simplify.h"

namespace simaqat {

void castLikesToCasts(Graph& graph) {
  for (Node* node : graph.nodeSequence()) {
    if (node->op().qualifiedName() != "CastLike") continue;
    AttributeMap map = node->rawAttributes().toMap();
    map["to"] = static_cast<int64_t>(node->input(1)->type.element);
    auto attributes = graph.registry().get("Cast").make_attributes();
    attributes->parse(map);
    Value* cast = graph.add("Cast", node->name(), {node->input(0)}, std::move(attributes), node);
    replaceNode(graph, node, cast);
  }
}

}  // namespace simaqat
