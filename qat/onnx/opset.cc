#include "qat/onnx/opset.h"

#include <onnx/defs/schema.h>

#include <algorithm>
#include <map>

namespace simaqat {
namespace {

int newestSchemas() {
  static const int newest =
      onnx::OpSchemaRegistry::DomainToVersionRange::Instance().Map().at("").second;
  return newest;
}

using ElementTypes = std::map<std::string, ElementType>;

ElementTypes typesOf(const Node& node) {
  ElementTypes types;
  for (const auto* values : {&node.inputs(), &node.outputs()}) {
    for (const Value* value : *values) {
      if (value != nullptr) types[value->name()] = value->type.element;
    }
  }
  return types;
}

// Whether each name is absent, or of a type that its parameter may have. The last parameter may
// stand for several.
bool typesFit(const std::vector<onnx::OpSchema::FormalParameter>& parameters,
              const std::vector<std::string>& names, const ElementTypes& types) {
  for (size_t i = 0; i < names.size(); ++i) {
    const auto type = types.find(names[i]);
    if (type == types.end()) continue;
    const auto& allowed = parameters[std::min(i, parameters.size() - 1)].GetTypes();
    const std::string name = fmt::format("tensor({})", elementTypeName(type->second));
    const bool fits = std::any_of(allowed.begin(), allowed.end(),
                                  [&](const std::string* text) { return *text == name; });
    if (!fits) return false;
  }
  return true;
}

bool fitsSchema(const PortableNode& node, const ElementTypes& types, int opset) {
  const onnx::OpSchema* schema = onnx::OpSchemaRegistry::Schema(node.op_type, opset, "");
  if (schema == nullptr || static_cast<int>(node.inputs.size()) > schema->max_input() ||
      static_cast<int>(node.outputs.size()) > schema->max_output()) {
    return false;
  }
  const bool knows_attributes = std::all_of(
      node.attributes.begin(), node.attributes.end(),
      [&](const auto& attribute) { return schema->attributes().count(attribute.first) != 0; });
  return knows_attributes && typesFit(schema->inputs(), node.inputs, types) &&
         typesFit(schema->outputs(), node.outputs, types);
}

bool isExpressible(const Graph& graph, const Node& node, int opset) {
  if (node.op().first_opset > opset) return false;
  PortableNode portable = portableNode(graph, node);
  ElementTypes types = typesOf(node);
  portable.add_constant = [&](const std::string& suffix, const Tensor& tensor) {
    types[node.name() + "/" + suffix] = tensor.type();
    return node.name() + "/" + suffix;
  };
  if (node.op().downgrade != nullptr) {
    try {
      node.op().downgrade(portable, opset);
    } catch (const Error&) {
      if (opset >= node.op().last_opset) throw;
      return false;
    }
  }
  return opset > newestSchemas() || fitsSchema(portable, types, opset);
}

}  // namespace

PortableNode portableNode(const Graph& graph, const Node& node) {
  PortableNode portable;
  portable.op_type = node.op().name;
  portable.domain = node.op().domain;
  portable.name = node.name();
  portable.attributes = node.rawAttributes().toMap();
  for (const Value* input : node.inputs()) {
    portable.inputs.push_back(input == nullptr ? "" : input->name());
  }
  for (const Value* output : node.outputs()) portable.outputs.push_back(output->name());
  portable.constant = [&graph](const std::string& name) -> const Tensor* {
    const Value* value = graph.findValue(name);
    return value != nullptr && value->isConstant() ? &value->constant : nullptr;
  };
  return portable;
}

NeededOpset neededOpset(const Graph& graph, int opset) {
  NeededOpset needed{opset};
  for (const auto& node : graph.nodes()) {
    if (!node->op().domain.empty()) continue;
    while (!isExpressible(graph, *node, needed.opset)) {
      ++needed.opset;
      needed.node = node.get();
    }
  }
  return needed;
}

void requireWritable(const NeededOpset& needed, int most) {
  if (needed.opset <= most) return;
  needed.node->fail("needs opset {}, and {}", needed.opset,
                    most == kMostExportOpset ? fmt::format("{} is the newest that is written", most)
                                             : fmt::format("--opset is {}", most));
}

}  // namespace simaqat
