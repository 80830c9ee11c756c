#include "qat/onnx/import.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <set>
#include <sstream>
#include <unordered_map>
#include <unordered_set>

#include "qat/base/file.h"
#include "qat/base/text.h"
#include "qat/ir/fake_quantize.h"
#include "qat/ir/op.h"
#include "qat/onnx/border_types.h"
#include "qat/onnx/broadcast.h"
#include "qat/onnx/control_flow.h"
#include "qat/onnx/convert.h"
#include "qat/onnx/exporter_evidence.h"
#include "qat/onnx/gradient_reach.h"
#include "qat/onnx/inline.h"
#include "qat/onnx/known_values.h"
#include "qat/onnx/sequences.h"

namespace simaqat {
namespace {

using namespace onnx_format;  // NOLINT: this file is that format's reader

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
  // Takes the tensors out of the model as it goes.
  Importer(onnx::ModelProto& model, std::string folder, const OpRegistry& registry,
           ImportReport& report)
      : model_(model),
        folder_(std::move(folder)),
        graph_(registry),
        inliner_(model, registry),
        known_values_(graph_),
        control_flow_({[this](const std::string& name) { return isTaken(name); },
                       [this](const std::string& name) { return knownValue(name); },
                       [this](const std::string& name) { return lookUp(name, "input")->type; },
                       [this](onnx::GraphProto& body, int opset) { addBody(body, opset); }}),
        sequences_({[this](const std::string& name) { return knownValue(name); },
                    [this](const std::string& name) { return lookUp(name, "input")->type; }}),
        report_(report) {}

  Graph run() {
    const auto separated = separateMergedParameters(model_);
    report_.stated_parameters = statedParameters(model_);
    for (const auto& [name, merged_with] : separated) {
      report_.separated.push_back(name);
      const auto kind = report_.stated_parameters.find(merged_with);
      if (kind != report_.stated_parameters.end()) report_.stated_parameters[name] = kind->second;
    }
    const std::vector<OpsetNode> nodes = inliner_.run(model_.graph().node(), readOpset());
    checkOperators(nodes);
    graph_.name = model_.graph().name();
    for (const auto& entry : model_.metadata_props()) graph_.metadata[entry.key()] = entry.value();
    noteBorderTypes(model_.graph(), graph_.metadata);
    listed_ = listedParameters(graph_);
    addInitializers(*model_.mutable_graph(), nodes);
    addInputs();
    for (const OpsetNode& node : nodes) addNode(node);
    for (const onnx::ValueInfoProto& output : model_.graph().output()) {
      if (sequences_.isSequence(output.name())) {
        throw inputError("graph output '{}' is a sequence; only tensors are supported",
                         output.name());
      }
      graph_.outputs.push_back({output.name(), lookUp(output.name(), "graph output")});
    }
    return std::move(graph_);
  }

 private:
  int readOpset() const {
    int opset = 0;
    for (const auto& entry : model_.opset_import()) {
      if (isStandardDomain(entry.domain())) opset = static_cast<int>(entry.version());
    }
    if (opset == 0) {
      std::vector<std::string> domains;
      for (const auto& entry : model_.opset_import()) domains.push_back(entry.domain());
      throw inputError("says no opset of the standard domain, whose operators it needs{}",
                       domains.empty() ? " (opset_import is empty)"
                                       : fmt::format(" (opset_import has {})", joined(domains)));
    }
    if (opset < 6) throw inputError("opset {} is not supported (6 and later are)", opset);
    return opset;
  }

  // All that is missing is said at once.
  void checkOperators(const std::vector<OpsetNode>& nodes) const {
    std::vector<std::string> missing;
    for (const auto& [node, opset] : nodes) {
      const std::string name = qualifiedName(node);
      if (!isSupported(name, graph_.registry())) {
        missing.push_back(fmt::format("{} '{}'", name, displayName(node)));
      }
    }
    if (!missing.empty()) {
      throw inputError("{} of {} nodes have operators that are not supported: {}", missing.size(),
                       nodes.size(), joined(missing));
    }
  }

  // How BatchNormalization and FakeQuantize make variables of initializers.
  using Roles = std::unordered_map<std::string, VariableRole>;
  static Roles stateRoles(const std::vector<OpsetNode>& nodes) {
    Roles roles;
    const auto mark = [&](const onnx::NodeProto& node, int from, int to, VariableRole role) {
      for (int i = from; i < std::min(to, node.input_size()); ++i) roles[node.input(i)] = role;
    };
    for (const auto& [node, opset] : nodes) {
      const std::string name = qualifiedName(node);
      if (name == "BatchNormalization") {
        mark(node, 3, 5, VariableRole::kBatchNormStatistic);
      } else if (name == "simaqat::FakeQuantize") {
        mark(node, kFakeQuantizeScale, kFakeQuantizeRangeMin, VariableRole::kQuantizerScale);
        mark(node, kFakeQuantizeRangeMin, kFakeQuantizeOffset, VariableRole::kObserverRange);
        mark(node, kFakeQuantizeOffset, kFakeQuantizeFoldedScale + 1,
             VariableRole::kQuantizerScale);
      }
    }
    return roles;
  }

  // Floats that a gradient could reach, or that the file says are parameters, become variables;
  // decideParameters then leaves those that train.
  void addInitializers(onnx::GraphProto& graph, const std::vector<OpsetNode>& nodes) {
    const Roles roles = stateRoles(nodes);
    const std::unordered_set<std::string> reached =
        reachedByGradient(nodes, graph, graph_.registry());
    const auto mayTrain = [&](const std::string& name) {
      return reached.count(name) != 0 || (listed_ && listed_->count(name) != 0) ||
             (report_.stated_parameters.count(name) != 0 && report_.stated_parameters.at(name));
    };
    for (onnx::TensorProto& proto : *graph.mutable_initializer()) {
      if (graph_.findValue(proto.name()) != nullptr || proto.name().empty()) {
        throw inputError("initializer '{}' is defined twice or has no name", proto.name());
      }
      Tensor tensor = toTensor(proto, folder_);
      delete proto.release_raw_data();
      const auto role = roles.find(proto.name());
      if (role != roles.end()) {
        graph_.addVariable(proto.name(), role->second, std::move(tensor));
      } else if (isFloatingPoint(tensor.type()) && mayTrain(proto.name())) {
        graph_.addVariable(proto.name(), VariableRole::kWeight, std::move(tensor));
      } else {
        graph_.addConstant(proto.name(), std::move(tensor));
      }
    }
    if (graph.sparse_initializer_size() > 0) {
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
    if (sequences_.isSequence(name)) {
      throw inputError("{} '{}' is a sequence; expected a tensor", user, name);
    }
    if (value == nullptr) throw inputError("{} '{}' is not defined by anything", user, name);
    return value;
  }

  void addNode(const OpsetNode& from) {
    const onnx::NodeProto& proto = from.proto;
    PortableNode node;
    node.op_type = proto.op_type();
    node.domain = isStandardDomain(proto.domain()) ? "" : proto.domain();
    node.name = displayName(proto);
    try {
      if (ControlFlow::isOperator(qualifiedName(proto))) return control_flow_.add(from);
      if (sequences_.concerns(proto)) {
        for (const OpsetNode& lowered : sequences_.lower(from)) addNode(lowered);
        return;
      }
      node.attributes = toAttributes(proto, folder_);
      if (node.op_type == "Constant" && node.domain.empty()) return addConstant(node, proto);
      convert(node, from);
    } catch (const Error& error) {
      const std::string culprit = fmt::format("{} '{}'", qualifiedName(proto), node.name);
      if (std::string(error.what()).rfind(culprit, 0) == 0) throw;
      throw inputError("{}: {}", culprit, error.what());
    }
  }

  bool isTaken(const std::string& name) const {
    return graph_.findValue(name) != nullptr || sequences_.isSequence(name);
  }

  Tensor knownValue(const std::string& name) { return known_values_.find(lookUp(name, "input")); }

  // The nodes and initializers of a body that stands in the graph itself.
  void addBody(onnx::GraphProto& body, int opset) {
    const std::vector<OpsetNode> nodes = inliner_.run(body.node(), opset);
    checkOperators(nodes);
    addInitializers(body, nodes);
    for (const OpsetNode& node : nodes) addNode(node);
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

  // A node that stands in for a part of an older form's meaning.
  Value* addCanonicalNode(const std::string& name, const std::string& op_type,
                          const AttributeMap& attributes, const std::vector<std::string>& inputs) {
    std::vector<Value*> values;
    for (const std::string& input : inputs) values.push_back(lookUp(input, "input"));
    auto parsed = graph_.registry().get(op_type).make_attributes();
    parsed->parse(attributes);
    return graph_.add(op_type, name, values, std::move(parsed));
  }

  void convert(PortableNode& node, const OpsetNode& from) {
    const onnx::NodeProto& proto = from.proto;
    const std::string original = qualifiedName(proto);
    node.inputs.assign(proto.input().begin(), proto.input().end());
    node.outputs.assign(proto.output().begin(), proto.output().end());
    node.constant = [&](const std::string& name) -> const Tensor* {
      const Value* value = graph_.findValue(name);
      return value != nullptr && value->isConstant() ? &value->constant : nullptr;
    };
    node.add_constant = [&](const std::string& suffix, Tensor tensor) {
      return graph_.addConstant(node.name + "/" + suffix, std::move(tensor))->name();
    };
    node.add_node = [&](const std::string& op_type, const AttributeMap& attributes,
                        const std::vector<std::string>& from_inputs) {
      return addCanonicalNode(node.name + "/" + op_type, op_type, attributes, from_inputs)->name();
    };
    const OpDefinition* op = &graph_.registry().get(original);
    if (from.opset == 6) alignBroadcast(node, graph_);
    if (op->upgrade != nullptr) op->upgrade(node, from.opset);
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

  onnx::ModelProto& model_;
  const std::string folder_;
  Graph graph_;
  const FunctionInliner inliner_;
  KnownValues known_values_;
  ControlFlow control_flow_;
  Sequences sequences_;
  ImportReport& report_;
  std::optional<std::set<std::string>> listed_;
};

void countOperators(const onnx::GraphProto& graph, std::map<std::string, OperatorUse>& uses) {
  for (const onnx::NodeProto& node : graph.node()) {
    ++uses[qualifiedName(node)].nodes;
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (attribute.has_g()) countOperators(attribute.g(), uses);
    }
  }
}

}  // namespace

bool isSupported(const std::string& qualified_name, const OpRegistry& registry) {
  return qualified_name == "Constant" || ControlFlow::isOperator(qualified_name) ||
         Sequences::isOperator(qualified_name) || registry.find(qualified_name) != nullptr;
}

std::optional<std::set<std::string>> listedParameters(const Graph& graph) {
  const auto entry = graph.metadata.find(kParametersKey);
  if (entry == graph.metadata.end()) return std::nullopt;
  constexpr char kBlanks[] = " \t\r";
  std::set<std::string> names;
  std::istringstream lines(entry->second);
  for (std::string line; std::getline(lines, line);) {
    const size_t begin = line.find_first_not_of(kBlanks);
    if (begin == std::string::npos) continue;
    names.insert(line.substr(begin, line.find_last_not_of(kBlanks) - begin + 1));
  }
  return names;
}

Graph importModelBytes(std::string_view bytes, const std::string& origin, const std::string& folder,
                       const OpRegistry& registry, ImportReport* report) {
  ImportReport unread;
  try {
    onnx::ModelProto model = parseModel(bytes);
    return Importer(model, folder, registry, report != nullptr ? *report : unread).run();
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{}: {}", origin, error.what()));
  }
}

Graph importModel(const std::string& path, const OpRegistry& registry) {
  const FileBytes bytes(path);
  return importModelBytes(bytes.view(), path, std::filesystem::path(path).parent_path().string(),
                          registry);
}

std::map<std::string, OperatorUse> operatorsOf(const std::string& path, const OpRegistry& registry) {
  const FileBytes bytes(path);
  std::map<std::string, OperatorUse> uses;
  try {
    const onnx::ModelProto model = parseModel(bytes.view());
    countOperators(model.graph(), uses);
    std::set<std::string> functions;
    for (const auto& function : model.functions()) {
      functions.insert(function.domain() + "::" + function.name());
    }
    for (auto& [name, use] : uses) {
      use.is_supported = isSupported(name, registry) || functions.count(name) != 0;
    }
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{}: {}", path, error.what()));
  }
  return uses;
}

}  // namespace simaqat
