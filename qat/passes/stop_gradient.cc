#include "qat/passes/stop_gradient.h"

#include "qat/passes/pattern.h"

namespace simaqat {
namespace {

void stopBehind(Graph& graph, Value* value, Node* before) {
  const std::string name = value->name() + "/stop_gradient";
  Value* stopped = graph.add("simaqat::StopGradient", name, {value}, nullptr, before);
  stopped->quantizer = value->quantizer;
  graph.replaceUses(value, stopped, stopped->producer());
}

}  // namespace

int stopGradients(Graph& graph, const std::string& pattern) {
  int count = 0;
  const auto visit = [&](Value* value, Node* before) {
    const bool matches = isFloatingPoint(value->type.element) && graph.useCount(value) > 0 &&
                         matchesPattern(value->name(), pattern);
    if (!matches) return;
    stopBehind(graph, value, before);
    ++count;
  };
  const std::vector<Node*> nodes = graph.nodeSequence();
  for (Value* input : graph.inputs) visit(input, nodes.empty() ? nullptr : nodes.front());
  for (size_t i = 0; i < nodes.size(); ++i) {
    Node* next = i + 1 < nodes.size() ? nodes[i + 1] : nullptr;
    for (Value* output : nodes[i]->outputs()) visit(output, next);
  }
  return count;
}

}  // namespace simaqat
