#include "qat/onnx/inline.h"

#include <algorithm>
#include <map>

#include "qat/base/error.h"
#include "qat/onnx/make_node.h"
#include "qat/onnx/newer_fields.h"

namespace simaqat::onnx_format {
namespace {

// Fields that the installed protobuf classes may be too old for: these keep them as unknown ones.
constexpr int kNodeOverload = 8;
constexpr int kFunctionAttributeDefaults = 11;
constexpr int kFunctionOverload = 13;

// How the names and attributes of a body become those of the graph around it.
class Scope {
 public:
  void rename(const std::string& inside, const std::string& outside) { names_[inside] = outside; }
  bool has(const std::string& inside) const { return names_.count(inside) != 0; }
  // In front of every name that has no other.
  void setPrefix(const std::string& prefix) { prefix_ = prefix; }
  void setAttribute(const std::string& name, const onnx::AttributeProto* value) {
    attributes_[name] = value;
  }

  std::string name(const std::string& inside) const {
    if (inside.empty()) return inside;
    const auto it = names_.find(inside);
    return it != names_.end() ? it->second : prefix_ + inside;
  }

  onnx::NodeProto apply(const onnx::NodeProto& node) const {
    onnx::NodeProto result = node;
    for (std::string& input : *result.mutable_input()) input = name(input);
    for (std::string& output : *result.mutable_output()) output = name(output);
    if (!node.name().empty()) result.set_name(prefix_ + node.name());
    result.clear_attribute();
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (const auto resolved = apply(attribute)) *result.add_attribute() = *resolved;
    }
    return result;
  }

  onnx::GraphProto apply(const onnx::GraphProto& graph) const {
    onnx::GraphProto result = graph;
    for (auto& tensor : *result.mutable_initializer()) tensor.set_name(name(tensor.name()));
    for (auto& input : *result.mutable_input()) input.set_name(name(input.name()));
    for (auto& output : *result.mutable_output()) output.set_name(name(output.name()));
    for (auto& node : *result.mutable_node()) node = apply(onnx::NodeProto(node));
    return result;
  }

 private:
  // Absent where it refers to an attribute that neither the call nor the function gives.
  std::optional<onnx::AttributeProto> apply(const onnx::AttributeProto& attribute) const {
    onnx::AttributeProto result = attribute;
    if (!attribute.ref_attr_name().empty()) {
      const auto it = attributes_.find(attribute.ref_attr_name());
      if (it == attributes_.end()) return std::nullopt;
      result = *it->second;
      result.set_name(attribute.name());
    } else if (attribute.has_g()) {
      *result.mutable_g() = apply(attribute.g());
    }
    return result;
  }

  std::map<std::string, std::string> names_;
  std::map<std::string, const onnx::AttributeProto*> attributes_;
  std::string prefix_;
};

std::vector<onnx::AttributeProto> attributeDefaults(const onnx::FunctionProto& function) {
  std::vector<onnx::AttributeProto> defaults;
  for (const std::string& bytes : newerField(function, kFunctionAttributeDefaults)) {
    if (!defaults.emplace_back().ParseFromString(bytes)) {
      throw inputError("function '{}': a default of an attribute cannot be read", function.name());
    }
  }
  return defaults;
}

int opsetOf(const onnx::FunctionProto& function, int otherwise) {
  for (const auto& entry : function.opset_import()) {
    if (isStandardDomain(entry.domain())) return static_cast<int>(entry.version());
  }
  return otherwise;
}

}  // namespace

std::string qualifiedName(const onnx::NodeProto& node) {
  return isStandardDomain(node.domain()) ? node.op_type() : node.domain() + "::" + node.op_type();
}

std::string displayName(const onnx::NodeProto& node) {
  return node.name().empty() && node.output_size() > 0 ? node.output(0) : node.name();
}

std::vector<OpsetNode> FunctionInliner::run(const Nodes& nodes, int opset) const {
  std::vector<OpsetNode> result;
  Calls calls;
  for (const onnx::NodeProto& node : nodes) add(node, opset, calls, result);
  return result;
}

const onnx::FunctionProto* FunctionInliner::find(const onnx::NodeProto& node) const {
  if (registry_.find(qualifiedName(node)) != nullptr) return nullptr;
  const auto overload = newerField(node, kNodeOverload);
  for (const onnx::FunctionProto& function : model_.functions()) {
    if (function.name() == node.op_type() && function.domain() == node.domain() &&
        newerField(function, kFunctionOverload) == overload) {
      return &function;
    }
  }
  return nullptr;
}

void FunctionInliner::add(const onnx::NodeProto& node, int opset, Calls& calls,
                          std::vector<OpsetNode>& result) const {
  const onnx::FunctionProto* function = find(node);
  if (function == nullptr) {
    result.push_back({node, opset});
    return;
  }
  const auto fail = [&](const std::string& message) {
    throw inputError("{} '{}': {}", qualifiedName(node), displayName(node), message);
  };
  if (std::find(calls.begin(), calls.end(), function) != calls.end()) {
    fail("the function calls itself");
  }
  if (node.input_size() > function->input_size() || node.output_size() > function->output_size()) {
    fail(fmt::format("expected at most {} inputs and {} outputs, got {} and {}",
                     function->input_size(), function->output_size(), node.input_size(),
                     node.output_size()));
  }
  Scope scope;
  scope.setPrefix(node.output(0) + "/");
  for (int i = 0; i < function->input_size(); ++i) {
    scope.rename(function->input(i), i < node.input_size() ? node.input(i) : "");
  }
  std::vector<onnx::NodeProto> identities;
  for (int i = 0; i < node.output_size(); ++i) {
    if (node.output(i).empty()) continue;
    const std::string& inside = function->output(i);
    if (scope.has(inside)) {
      identities.push_back(identity(scope.name(inside), node.output(i)));
    } else {
      scope.rename(inside, node.output(i));
    }
  }
  const std::vector<onnx::AttributeProto> defaults = attributeDefaults(*function);
  for (const onnx::AttributeProto& value : defaults) scope.setAttribute(value.name(), &value);
  for (const onnx::AttributeProto& value : node.attribute()) {
    scope.setAttribute(value.name(), &value);
  }
  calls.push_back(function);
  const int own_opset = opsetOf(*function, opset);
  for (const onnx::NodeProto& inside : function->node()) {
    add(scope.apply(inside), own_opset, calls, result);
  }
  calls.pop_back();
  for (onnx::NodeProto& last : identities) result.push_back({std::move(last), own_opset});
}

const onnx::GraphProto& bodyOf(const onnx::NodeProto& node, const std::string& name) {
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    if (attribute.name() == name && attribute.has_g()) return attribute.g();
  }
  throw inputError("attribute '{}' is missing", name);
}

onnx::GraphProto inlineBody(const onnx::GraphProto& body, BodyNames names,
                            const std::string& prefix,
                            const std::function<bool(const std::string&)>& taken) {
  // Whether a name that the body defines takes the prefix.
  const auto own = [&](const std::string& name) {
    if (name.empty() || names.count(name) != 0 || !taken(name)) return false;
    names[name] = prefix + "/" + name;
    return true;
  };
  for (const auto& tensor : body.initializer()) own(tensor.name());
  std::vector<bool> prefixed;
  for (const auto& node : body.node()) {
    prefixed.push_back(false);
    for (const std::string& output : node.output())
      prefixed.back() = own(output) || prefixed.back();
  }
  Scope scope;
  for (const auto& [inside, outside] : names) scope.rename(inside, outside);
  onnx::GraphProto result = scope.apply(body);
  for (int i = 0; i < result.node_size(); ++i) {
    onnx::NodeProto& node = *result.mutable_node(i);
    // Nodes of one name would draw the same random numbers.
    if (prefixed[static_cast<size_t>(i)]) node.set_name(prefix + "/" + displayName(body.node(i)));
  }
  return result;
}

}  // namespace simaqat::onnx_format
