#include <algorithm>

#include "qat/ir/op.h"
#include "qat/passes/exported_forms.h"
#include "qat/passes/integer_forms.h"

namespace simaqat {
namespace {

std::unique_ptr<Attributes> attributesOf(const Graph& graph, const std::string& op_type,
                                         const AttributeMap& map) {
  auto attributes = graph.registry().get(op_type).make_attributes();
  attributes->parse(map);
  return attributes;
}

// Whether only one axis is left from `axis` on, those of size 1 aside.
bool isOneAxis(const Value* x, int64_t axis) {
  if (!x->type.shape) return false;
  const auto rank = static_cast<int64_t>(x->type.shape->size());
  const auto first = x->type.shape->begin() + (axis < 0 ? axis + rank : axis);
  return std::all_of(first + 1, x->type.shape->end(), [](const Dim& dim) { return dim == Dim(1); });
}

// What Reshape takes to give a tensor of x's elements x's shape.
Value* shapeOf(Graph& graph, Value* x, Node* before) {
  const std::string name = before->name() + "/shape";
  if (x->type.shape) {
    std::vector<int64_t> dims;
    for (const Dim& dim : *x->type.shape) dims.push_back(dim.known() ? dim.value : -1);
    const bool is_empty = std::count(dims.begin(), dims.end(), 0) > 0;
    if (std::count(dims.begin(), dims.end(), -1) <= 1 && !is_empty) {
      const auto rank = static_cast<int64_t>(dims.size());
      return graph.addConstant(graph.uniqueName(name), Tensor::of<int64_t>({rank}, dims));
    }
  }
  return graph.add("Shape", name, {x}, nullptr, before);
}

}  // namespace

void flattenedSoftmaxes(Graph& graph) {
  for (Node* node : graph.nodeSequence()) {
    AttributeMap map = node->rawAttributes().toMap();
    if (!node->op().domain.empty() || map.erase("flatten") == 0) continue;
    const auto given = map.find("axis");
    const int64_t axis = given == map.end() ? -1 : std::get<int64_t>(given->second);
    Value* x = node->input(0);
    if (isOneAxis(x, axis)) {
      map["flatten"] = int64_t{0};
      node->rawAttributes().parse(map);
      continue;
    }
    Value* flat = graph.add("Flatten", node->name() + "/flatten", {x},
                            attributesOf(graph, "Flatten", {{"axis", axis}}), node);
    Value* y = graph.add(node->opType(), node->name(), {flat}, nullptr, node);
    Value* shape = shapeOf(graph, x, node);
    replaceNode(graph, node,
                graph.add("Reshape", node->name() + "/reshape", {y, shape}, nullptr, node));
  }
}

}  // namespace simaqat
