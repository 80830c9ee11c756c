#include "qat/passes/expand_recurrent.h"
#include "qat/passes/simplify.h"

namespace simaqat {
namespace {

void bind(TensorType& type, const std::map<std::string, int64_t>& symbols) {
  if (!type.shape) return;
  for (Dim& dim : *type.shape) {
    const auto symbol = symbols.find(dim.symbol);
    if (!dim.known() && !dim.symbol.empty() && symbol != symbols.end()) dim = symbol->second;
  }
}

}  // namespace

void bindShapes(Graph& graph, const std::map<std::string, int64_t>& symbols) {
  for (Value* input : graph.inputs) {
    bind(input->type, symbols);
    if (!input->type.isStatic()) {
      throw inputError("input '{}': its shape {} is not known", input->name(),
                       typeToString(input->type));
    }
  }
  for (const auto& node : graph.nodes()) {
    graph.inferTypes(*node);
    const bool is_static = std::all_of(node->outputs().begin(), node->outputs().end(),
                                       [](const Value* v) { return v->type.isStatic(); });
    if (!is_static) break;
  }
  foldConstants(graph);
  if (expandRecurrent(graph)) foldConstants(graph);
  for (const auto& node : graph.nodes()) {
    graph.inferTypes(*node);
    for (const Value* output : node->outputs()) {
      if (!output->type.isStatic()) {
        node->fail("output '{}': the shape {} depends on data", output->name(),
                   typeToString(output->type));
      }
    }
  }
}

}  // namespace simaqat
