#include "qat/onnx/import.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <set>
#include <unordered_map>

#include "qat/base/file.h"
#include "qat/onnx/convert.h"

namespace simaqat {
namespace {

using namespace onnx_format;  // NOLINT: this file is that format's reader

std::string domainOf(const std::string& domain) { return domain == "ai.onnx" ? "" : domain; }

std::string qualified(const onnx::NodeProto& node) {
  const std::string domain = domainOf(node.domain());
  return domain.empty() ? node.op_type() : domain + "::" + node.op_type();
}

onnx::ModelProto parseModel(std::string_view bytes) {
  onnx::ModelProto model;
  google::protobuf::io::ArrayInputStream array(
      bytes.data(),
      static_cast<int>(std::min<size_t>(bytes.size(), std::numeric_limits<int>::max())));
  google::protobuf::io::CodedInputStream stream(&array);
  stream.SetTotalBytesLimit(std::numeric_limits<int>::max());
  const bool parsed = model.ParseFromCodedStream(&stream) && stream.ConsumedEntireMessage();
  if (!parsed || !model.has_graph() || model.ir_version() <= 0) {
    throw inputError("is not an ONNX model, or is truncated");
  }
  if (model.graph().output_size() == 0) throw inputError("the ONNX graph has no outputs");
  return model;
}

class Importer {
 public:
  Importer(const onnx::ModelProto& model, std::string folder, const OpRegistry& registry)
      : model_(model), folder_(std::move(folder)), graph_(registry) {}

  Graph run() {
    readOpset();
    checkOperators();
    graph_.name = model_.graph().name();
    for (const auto& entry : model_.metadata_props()) graph_.metadata[entry.key()] = entry.value();
    addInitializers();
    addInputs();
    for (const onnx::NodeProto& node : model_.graph().node()) addNode(node);
    for (const onnx::ValueInfoProto& output : model_.graph().output()) {
      graph_.outputs.push_back({output.name(), lookUp(output.name(), "graph output")});
    }
    return std::move(graph_);
  }

 private:
  void readOpset() {
    for (const auto& entry : model_.opset_import()) {
      if (domainOf(entry.domain()).empty()) opset_ = static_cast<int>(entry.version());
    }
    if (opset_ < 7) throw inputError("opset {} is not supported (7 and later are)", opset_);
  }

  // All that is missing is said at once.
  void checkOperators() const {
    std::vector<std::string> missing;
    for (const onnx::NodeProto& node : model_.graph().node()) {
      if (qualified(node) == "Constant" || graph_.registry().find(qualified(node)) != nullptr) {
        continue;
      }
      const std::string& name =
          node.name().empty() && node.output_size() > 0 ? node.output(0) : node.name();
      missing.push_back(fmt::format("{} '{}'", qualified(node), name));
    }
    if (!missing.empty()) {
      throw inputError("{} of {} nodes have operators that are not supported: {}", missing.size(),
                       model_.graph().node_size(), fmt::join(missing, ", "));
    }
  }

  // How BatchNormalization and FakeQuantize make variables of initializers.
  std::unordered_map<std::string, VariableRole> stateRoles() const {
    std::unordered_map<std::string, VariableRole> roles;
    const auto mark = [&](const onnx::NodeProto& node, int from, int to, VariableRole role) {
      for (int i = from; i < std::min(to, node.input_size()); ++i) roles[node.input(i)] = role;
    };
    for (const onnx::NodeProto& node : model_.graph().node()) {
      if (qualified(node) == "BatchNormalization") {
        mark(node, 3, 5, VariableRole::kBatchNormStatistic);
      } else if (qualified(node) == "simaqat::FakeQuantize") {
        mark(node, 1, 3, VariableRole::kQuantizerScale);
        mark(node, 3, 5, VariableRole::kObserverRange);
      }
    }
    return roles;
  }

  void addInitializers() {
    const auto roles = stateRoles();
    for (const onnx::TensorProto& proto : model_.graph().initializer()) {
      if (graph_.findValue(proto.name()) != nullptr || proto.name().empty()) {
        throw inputError("initializer '{}' is defined twice or has no name", proto.name());
      }
      Tensor tensor = toTensor(proto, folder_);
      const auto role = roles.find(proto.name());
      if (role != roles.end()) {
        graph_.addVariable(proto.name(), role->second, std::move(tensor));
      } else if (tensor.type() == ElementType::kFloat && tensor.size() > 1) {
        graph_.addVariable(proto.name(), VariableRole::kWeight, std::move(tensor));
      } else {
        graph_.addConstant(proto.name(), std::move(tensor));
      }
    }
    if (model_.graph().sparse_initializer_size() > 0) {
      throw inputError("sparse initializers are not supported");
    }
  }

  void addInputs() {
    for (const onnx::ValueInfoProto& input : model_.graph().input()) {
      // Up to IR 3 initializers were listed as inputs too.
      if (graph_.findValue(input.name()) == nullptr) graph_.addInput(input.name(), toType(input));
    }
  }

  Value* lookUp(const std::string& name, const std::string& user) const {
    Value* value = graph_.findValue(name);
    if (value == nullptr) throw inputError("{} '{}' is not defined by anything", user, name);
    return value;
  }

  void addNode(const onnx::NodeProto& proto) {
    PortableNode node;
    node.op_type = proto.op_type();
    node.domain = domainOf(proto.domain());
    node.name = proto.name().empty() && proto.output_size() > 0 ? proto.output(0) : proto.name();
    try {
      node.attributes = toAttributes(proto, folder_);
      if (node.op_type == "Constant" && node.domain.empty()) return addConstant(node, proto);
      convert(node, proto);
    } catch (const Error& error) {
      const std::string culprit = fmt::format("{} '{}'", qualified(proto), node.name);
      if (std::string(error.what()).rfind(culprit, 0) == 0) throw;
      throw inputError("{}: {}", culprit, error.what());
    }
  }

  void addConstant(const PortableNode& node, const onnx::NodeProto& proto) {
    if (node.attributes.size() != 1 || proto.output_size() != 1) {
      throw inputError("expected one value and one output");
    }
    const AttributeValue& value = node.attributes.begin()->second;
    Tensor tensor;
    if (const auto* t = std::get_if<Tensor>(&value)) tensor = *t;
    if (const auto* i = std::get_if<int64_t>(&value)) tensor = Tensor::scalar(*i);
    if (const auto* f = std::get_if<float>(&value)) tensor = Tensor::scalar(*f);
    if (const auto* list = std::get_if<std::vector<int64_t>>(&value)) {
      tensor = Tensor::of({static_cast<int64_t>(list->size())}, *list);
    }
    if (const auto* list = std::get_if<std::vector<float>>(&value)) {
      tensor = Tensor::of({static_cast<int64_t>(list->size())}, *list);
    }
    if (!tensor.defined()) throw inputError("a constant of this kind is not supported");
    defineName(proto.output(0));
    graph_.addConstant(proto.output(0), std::move(tensor));
  }

  void defineName(const std::string& name) const {
    if (graph_.findValue(name) != nullptr) throw inputError("output '{}' is defined twice", name);
  }

  void convert(PortableNode& node, const onnx::NodeProto& proto) {
    const std::string original = qualified(proto);
    node.inputs.assign(proto.input().begin(), proto.input().end());
    node.outputs.assign(proto.output().begin(), proto.output().end());
    node.constant = [&](const std::string& name) -> const Tensor* {
      const Value* value = graph_.findValue(name);
      return value != nullptr && value->isConstant() ? &value->constant : nullptr;
    };
    node.add_constant = [&](const std::string& suffix, Tensor tensor) {
      return graph_.addConstant(node.name + "/" + suffix, std::move(tensor))->name();
    };
    const OpDefinition* op = &graph_.registry().get(original);
    if (op->upgrade != nullptr) op->upgrade(node, opset_);
    const std::string name = node.domain.empty() ? node.op_type : node.domain + "::" + node.op_type;
    if (name != original) op = &graph_.registry().get(name);

    std::unique_ptr<Attributes> attributes = op->make_attributes();
    attributes->parse(node.attributes);
    std::vector<Value*> inputs;
    for (const std::string& input : node.inputs) {
      inputs.push_back(input.empty() ? nullptr : lookUp(input, "input"));
    }
    while (!inputs.empty() && inputs.back() == nullptr) inputs.pop_back();
    while (!node.outputs.empty() && node.outputs.back().empty()) node.outputs.pop_back();
    if (inputs.size() < op->min_inputs || inputs.size() > op->max_inputs) {
      throw inputError("expected {} to {} inputs, got {}", op->min_inputs, op->max_inputs,
                       inputs.size());
    }
    for (size_t i = 0; i < op->min_inputs; ++i) {
      if (inputs[i] == nullptr) throw inputError("input {} is missing", i);
    }
    if (node.outputs.size() < op->min_outputs || node.outputs.size() > op->max_outputs) {
      throw inputError("expected {} to {} outputs, got {}", op->min_outputs, op->max_outputs,
                       node.outputs.size());
    }
    std::vector<Value*> outputs;
    for (const std::string& output : node.outputs) {
      if (!output.empty()) defineName(output);
      outputs.push_back(graph_.addValue(output.empty() ? node.name : output));
    }
    Node* added = graph_.addNodeWithOutputs(*op, node.name, inputs, outputs, std::move(attributes));
    graph_.inferTypes(*added);
  }

  const onnx::ModelProto& model_;
  const std::string folder_;
  Graph graph_;
  int opset_ = 0;
};

}  // namespace

Graph importModelBytes(std::string_view bytes, const std::string& origin, const std::string& folder,
                       const OpRegistry& registry) {
  try {
    const onnx::ModelProto model = parseModel(bytes);
    return Importer(model, folder, registry).run();
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{}: {}", origin, error.what()));
  }
}

Graph importModel(const std::string& path, const OpRegistry& registry) {
  return importModelBytes(readFile(path), path, std::filesystem::path(path).parent_path().string(),
                          registry);
}

}  // namespace simaqat
