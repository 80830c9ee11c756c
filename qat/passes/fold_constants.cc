#include <algorithm>

#include "qat/passes/simplify.h"

namespace simaqat {
namespace {

// The result of a shape operator of a static shape is known, whatever the data.
bool knownFromType(const Node& node) {
  const std::string& type = node.op().qualifiedName();
  return (type == "Shape" || type == "Size") && node.input(0)->type.isStatic();
}

bool foldable(const Node& node) {
  if (node.op().random || node.op().commits || node.inputCount() == 0) return false;
  if (knownFromType(node)) return true;
  return std::all_of(node.inputs().begin(), node.inputs().end(),
                     [](const Value* v) { return v == nullptr || v->isConstant(); });
}

void fold(Graph& graph, bool (*leaves)(const Node&)) {
  // Folding happens once, ahead of the run; one thread keeps it simple.
  ThreadPool pool(1);
  for (Node* node : graph.nodeSequence()) {
    if (leaves(*node)) continue;
    if (!foldable(*node)) {
      // What became constant in front of it may tell more of its shape.
      const bool unknown = std::any_of(node->outputs().begin(), node->outputs().end(),
                                       [](const Value* v) { return !v->type.isStatic(); });
      if (unknown) graph.inferTypes(*node);
      if (!foldable(*node)) continue;
    }
    std::vector<Tensor> inputs;
    for (const Value* input : node->inputs()) {
      if (input == nullptr) {
        inputs.emplace_back();
      } else if (input->isConstant()) {
        inputs.push_back(input->constant);
      } else {
        // Only its shape counts. No data of that size is touched beyond zeros.
        inputs.emplace_back(input->type.element, input->type.dims());
      }
    }
    const std::vector<Tensor> results = evaluateOnHost(graph, *node, inputs, pool);
    for (size_t i = 0; i < results.size(); ++i) {
      Value* output = node->output(i);
      const std::string name = output->name();
      Value* constant = graph.addConstant(name + "/folded", results[i]);
      constant->quantizer = output->quantizer;
      graph.replaceUses(output, constant);
    }
    graph.removeNode(node);
  }
}

}  // namespace

void foldConstants(Graph& graph) {
  fold(graph, [](const Node&) { return false; });
}

void foldAllButCodes(Graph& graph) {
  fold(graph, [](const Node& node) { return node.op().qualifiedName() == "DequantizeLinear"; });
}

void foldAllButStored(Graph& graph) {
  fold(graph, [](const Node& node) {
    const std::string name = node.op().qualifiedName();
    return name == "DequantizeLinear" || name == "simaqat::SamplePoints";
  });
}

}  // namespace simaqat
