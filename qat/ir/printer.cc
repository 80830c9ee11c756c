#include "qat/ir/printer.h"

#include <algorithm>

#include "qat/base/text.h"
#include "qat/ir/op.h"

namespace simaqat {
namespace {

// Longer tensors are cut, since nobody reads them.
constexpr int64_t kShownElements = 8;

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return result + "\"";
}

// As it is, or in quotes where something in it would end it too early.
std::string nameText(const std::string& name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return c > ' ' && std::string_view(",()=\"\\").find(static_cast<char>(c)) == std::string::npos;
  });
  return plain && !name.empty() ? name : quoted(name);
}

std::string tensorText(const Tensor& tensor) {
  std::vector<std::string> parts;
  visitElementType(tensor.type(), [&](auto tag) {
    using T = decltype(tag);
    const int64_t shown = std::min(tensor.size(), kShownElements);
    for (int64_t i = 0; i < shown; ++i) {
      const T value = tensor.data<T>()[i];
      if constexpr (std::is_floating_point_v<T>) {
        parts.push_back(fmt::format("{}", value));
      } else {
        parts.push_back(std::to_string(static_cast<int64_t>(value)));
      }
    }
  });
  if (tensor.size() > kShownElements) parts.push_back("...");
  return fmt::format("[{}]", joined(parts));
}

std::string attributeText(const AttributeValue& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return quoted(*text);
  if (const auto* tensor = std::get_if<Tensor>(&value)) {
    return attributeToString(value) + " " + tensorText(*tensor);
  }
  std::vector<std::string> parts;
  if (const auto* list = std::get_if<std::vector<std::string>>(&value)) {
    for (const std::string& item : *list) parts.push_back(quoted(item));
  } else if (const auto* floats = std::get_if<std::vector<float>>(&value)) {
    for (float item : *floats) parts.push_back(attributeToString(item));
  } else {
    return attributeToString(value);
  }
  return fmt::format("[{}]", joined(parts));
}

std::string nodeText(const Node& node) {
  std::vector<std::string> outputs;
  for (const Value* output : node.outputs()) {
    std::string text = fmt::format("%{} : {}", nameText(output->name()), typeToString(output->type));
    if (output->quantizer != nullptr) text += " @" + nameText(output->quantizer->name);
    outputs.push_back(std::move(text));
  }
  std::vector<std::string> inputs;
  for (const Value* input : node.inputs()) {
    inputs.push_back(input == nullptr ? "_" : "%" + nameText(input->name()));
  }
  std::vector<std::string> attributes;
  for (const auto& [name, value] : node.rawAttributes().toMap()) {
    attributes.push_back(fmt::format("{} = {}", name, attributeText(value)));
  }
  return fmt::format("{} = {}({}){} {}", joined(outputs), node.op().qualifiedName(), joined(inputs),
                     attributes.empty() ? "" : fmt::format(" {{{}}}", joined(attributes)),
                     quoted(node.name()));
}

}  // namespace

std::string toText(const Graph& graph) {
  std::string text;
  const auto line = [&](const std::string& content) { text += content + "\n"; };
  for (const Value* input : graph.inputs) {
    line(fmt::format("input %{} : {}", nameText(input->name()), typeToString(input->type)));
  }
  for (const auto& variable : graph.variables()) {
    line(fmt::format("{} %{} : {} = {}", variableRoleName(variable->role), nameText(variable->name),
                     typeToString(variable->source->type), tensorText(variable->value)));
  }
  for (const auto& value : graph.values()) {
    if (value->isConstant() && value->producer() == nullptr && graph.useCount(value.get()) > 0) {
      line(fmt::format("constant %{} : {} = {}", nameText(value->name()), typeToString(value->type),
                       tensorText(value->constant)));
    }
  }
  for (const auto& node : graph.nodes()) line(nodeText(*node));
  for (const auto& variable : graph.variables()) {
    if (variable->next() != nullptr) {
      line(fmt::format("next %{} = %{}", nameText(variable->name),
                       nameText(variable->next()->name())));
    }
  }
  for (const GraphOutput& output : graph.outputs) {
    line(fmt::format("output {} = %{}", nameText(output.name), nameText(output.value->name())));
  }
  return text;
}

}  // namespace simaqat
