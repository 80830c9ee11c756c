#include "qat/onnx/gradient_reach.h"

#include <algorithm>

namespace simaqat::onnx_format {
namespace {

void addNamesOfBodies(const onnx::NodeProto& node, std::unordered_set<std::string>& names);

void addNamesOf(const onnx::GraphProto& body, std::unordered_set<std::string>& names) {
  for (const onnx::NodeProto& node : body.node()) {
    names.insert(node.input().begin(), node.input().end());
    addNamesOfBodies(node, names);
  }
  for (const onnx::ValueInfoProto& output : body.output()) names.insert(output.name());
}

void addNamesOfBodies(const onnx::NodeProto& node, std::unordered_set<std::string>& names) {
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    if (attribute.has_g()) addNamesOf(attribute.g(), names);
  }
}

bool hasBody(const onnx::NodeProto& node) {
  return std::any_of(node.attribute().begin(), node.attribute().end(),
                     [](const onnx::AttributeProto& attribute) { return attribute.has_g(); });
}

}  // namespace

std::unordered_set<std::string> reachedByGradient(const std::vector<OpsetNode>& nodes,
                                                  const onnx::GraphProto& graph,
                                                  const OpRegistry& registry) {
  std::unordered_set<std::string> reached;
  for (const onnx::ValueInfoProto& output : graph.output()) reached.insert(output.name());
  for (auto it = nodes.rbegin(); it != nodes.rend(); ++it) {
    const onnx::NodeProto& node = it->proto;
    const bool arrives =
        std::any_of(node.output().begin(), node.output().end(),
                    [&](const std::string& name) { return reached.count(name) != 0; });
    if (!arrives) continue;
    if (hasBody(node)) {
      reached.insert(node.input().begin(), node.input().end());
      addNamesOfBodies(node, reached);
      continue;
    }
    const OpDefinition* op = registry.find(qualifiedName(node));
    // An operator that import writes out has its gradient in what it becomes.
    const bool ends = op != nullptr && (op->gradient == nullptr || op->gradient_is_error);
    for (int i = 0; i < node.input_size() && !ends; ++i) {
      if (op == nullptr || !op->isSetting(static_cast<size_t>(i))) reached.insert(node.input(i));
    }
  }
  return reached;
}

}  // namespace simaqat::onnx_format
