#include "qat/onnx/broadcast.h"

#include <set>

namespace simaqat {
namespace {

bool broadcasts(const PortableNode& node) {
  static const std::set<std::string> kOperators = {"Add",     "And",  "Div", "Equal", "Gemm",
                                                   "Greater", "Less", "Mul", "Or",    "Pow",
                                                   "PRelu",   "Sub",  "Xor"};
  return node.domain.empty() && kOperators.count(node.op_type) != 0 && node.inputs.size() > 1;
}

int64_t rankOf(const PortableNode& node, const Graph& graph, size_t input) {
  const Value* value = graph.findValue(node.inputs[input]);
  if (value == nullptr || !value->type.shape) {
    node.fail(fmt::format("input {}: its rank must be known, as opset 6 broadcasts", input));
  }
  return static_cast<int64_t>(value->type.rank());
}

}  // namespace

void alignBroadcast(PortableNode& node, const Graph& graph) {
  if (!broadcasts(node)) return;
  node.attributes.erase("broadcast");
  const auto attribute = node.attributes.find("axis");
  if (attribute == node.attributes.end() && node.op_type != "PRelu") return;
  int64_t axis = 1;
  if (attribute != node.attributes.end()) {
    const auto* number = std::get_if<int64_t>(&attribute->second);
    if (number == nullptr) node.fail("attribute 'axis' is not an integer");
    axis = *number;
    node.attributes.erase(attribute);
  }
  const int64_t rank = rankOf(node, graph, 0);
  const int64_t own = rankOf(node, graph, 1);
  if (axis < 0) axis += rank;
  // One number goes everywhere.
  if (own == 0 || graph.findValue(node.inputs[1])->type.shape == Shape{1}) return;
  if (axis < 0 || axis + own > rank) {
    node.fail(fmt::format("input 1 of rank {} does not fit input 0 of rank {} from axis {} on", own,
                          rank, axis));
  }
  std::vector<int64_t> added;
  for (int64_t behind = own; behind < rank - axis; ++behind) added.push_back(behind);
  if (added.empty()) return;
  const std::string axes =
      node.add_constant("axes", Tensor::of({static_cast<int64_t>(added.size())}, added));
  node.inputs[1] = node.add_node("Unsqueeze", {}, {node.inputs[1], axes});
}

}  // namespace simaqat
