#include <algorithm>

#include "qat/ir/op.h"
#include "qat/passes/simplify.h"

namespace simaqat {
namespace {

bool isDouble(const Value* value) { return value->type.element == ElementType::kDouble; }

void narrow(Tensor& tensor) {
  if (tensor.type() == ElementType::kDouble) tensor = tensor.converted(ElementType::kFloat);
}

// Attributes that name an element type or hold a tensor, of whatever operator.
void narrowAttributes(Node& node) {
  AttributeMap attributes = node.rawAttributes().toMap();
  for (auto& [name, value] : attributes) {
    if (auto* tensor = std::get_if<Tensor>(&value)) narrow(*tensor);
    auto* number = std::get_if<int64_t>(&value);
    const bool names_type = name == "to" || name == "dtype" || name == "output_dtype";
    if (number != nullptr && names_type && *number == static_cast<int64_t>(ElementType::kDouble)) {
      *number = static_cast<int64_t>(ElementType::kFloat);
    }
  }
  node.rawAttributes().parse(attributes);
}

}  // namespace

void narrowDouble(Graph& graph) {
  const bool is_network =
      std::any_of(graph.inputs.begin(), graph.inputs.end(), isDouble) ||
      std::any_of(graph.variables().begin(), graph.variables().end(),
                  [](const auto& variable) { return isDouble(variable->source); });
  if (!is_network) return;
  for (const auto& variable : graph.variables()) narrow(variable->value);
  for (const auto& value : graph.values()) {
    if (value->isConstant()) narrow(value->constant);
    if (value->producer() == nullptr && isDouble(value.get())) {
      value->type.element = ElementType::kFloat;
    }
  }
  for (const auto& node : graph.nodes()) {
    narrowAttributes(*node);
    graph.inferTypes(*node);
  }
}

}  // namespace simaqat
