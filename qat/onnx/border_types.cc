#include "qat/onnx/border_types.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "qat/base/element_type.h"

namespace simaqat::onnx_format {
namespace {

constexpr ElementType kOtherFloats[] = {ElementType::kFloat16, ElementType::kBfloat16,
                                        ElementType::kDouble};

using Infos = google::protobuf::RepeatedPtrField<onnx::ValueInfoProto>;

void note(const std::string& key, const Infos& infos, Metadata& metadata) {
  for (const onnx::ValueInfoProto& info : infos) {
    for (const ElementType type : kOtherFloats) {
      if (info.type().tensor_type().elem_type() == static_cast<int>(type)) {
        metadata[key + info.name()] = elementTypeName(type);
      }
    }
  }
}

// What was noted under a key; undefined where nothing was, or no such type.
ElementType notedType(const Metadata& metadata, const std::string& key) {
  const auto entry = metadata.find(key);
  for (const ElementType type : kOtherFloats) {
    if (entry != metadata.end() && entry->second == elementTypeName(type)) return type;
  }
  return ElementType::kUndefined;
}

onnx::NodeProto castNode(const std::string& from, const std::string& to, ElementType type) {
  onnx::NodeProto node;
  node.set_op_type("Cast");
  node.set_name(to + "/border_cast");
  node.add_input(from);
  node.add_output(to);
  onnx::AttributeProto* attribute = node.add_attribute();
  attribute->set_name("to");
  attribute->set_type(onnx::AttributeProto::INT);
  attribute->set_i(static_cast<int>(type));
  return node;
}

class Borders {
 public:
  explicit Borders(onnx::GraphProto& graph) : graph_(graph) {
    for (const auto& node : graph.node()) {
      names_.insert(node.output().begin(), node.output().end());
    }
    for (const auto& input : graph.input()) names_.insert(input.name());
    for (const auto& tensor : graph.initializer()) names_.insert(tensor.name());
  }

  void castInput(onnx::ValueInfoProto& input, ElementType type) {
    if (!change(input, type)) return;
    in_front_.push_back(castNode(input.name(), renamed_[input.name()], ElementType::kFloat));
  }

  void castOutput(onnx::ValueInfoProto& output, ElementType type) {
    if (!change(output, type)) return;
    behind_.push_back(castNode(renamed_[output.name()], output.name(), type));
  }

  void finish() {
    for (auto& node : *graph_.mutable_node()) {
      for (auto* names : {node.mutable_input(), node.mutable_output()}) {
        for (std::string& name : *names) {
          if (const auto found = renamed_.find(name); found != renamed_.end()) name = found->second;
        }
      }
    }
    google::protobuf::RepeatedPtrField<onnx::NodeProto> nodes;
    for (const auto& node : in_front_) *nodes.Add() = node;
    for (auto& node : *graph_.mutable_node()) nodes.Add()->Swap(&node);
    for (const auto& node : behind_) *nodes.Add() = node;
    graph_.mutable_node()->Swap(&nodes);
  }

 private:
  bool change(onnx::ValueInfoProto& info, ElementType type) {
    auto* tensor = info.mutable_type()->mutable_tensor_type();
    const bool changes =
        type != ElementType::kUndefined && tensor->elem_type() == onnx::TensorProto::FLOAT;
    if (!changes) return false;
    tensor->set_elem_type(static_cast<int>(type));
    renamed_[info.name()] = innerName(info.name());
    return true;
  }

  std::string innerName(const std::string& name) {
    std::string inner = name + "/float";
    for (int k = 1; !names_.insert(inner).second; ++k) inner = fmt::format("{}/float.{}", name, k);
    return inner;
  }

  onnx::GraphProto& graph_;
  std::set<std::string> names_;
  std::unordered_map<std::string, std::string> renamed_;
  std::vector<onnx::NodeProto> in_front_, behind_;
};

bool isBorderType(const onnx::StringStringEntryProto& entry) {
  return entry.key().rfind(kInputTypeKey, 0) == 0 || entry.key().rfind(kOutputTypeKey, 0) == 0;
}

}  // namespace

void noteBorderTypes(const onnx::GraphProto& graph, Metadata& metadata) {
  note(kInputTypeKey, graph.input(), metadata);
  note(kOutputTypeKey, graph.output(), metadata);
}

void castBorders(onnx::ModelProto& model) {
  Metadata metadata;
  for (const auto& entry : model.metadata_props()) metadata[entry.key()] = entry.value();
  Borders borders(*model.mutable_graph());
  for (auto& input : *model.mutable_graph()->mutable_input()) {
    borders.castInput(input, notedType(metadata, kInputTypeKey + input.name()));
  }
  for (auto& output : *model.mutable_graph()->mutable_output()) {
    borders.castOutput(output, notedType(metadata, kOutputTypeKey + output.name()));
  }
  borders.finish();
  auto* entries = model.mutable_metadata_props();
  entries->erase(std::remove_if(entries->begin(), entries->end(), isBorderType), entries->end());
}

}  // namespace simaqat::onnx_format
