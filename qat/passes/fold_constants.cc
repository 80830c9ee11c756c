#include <algorithm>

#include "qat/passes/simplify.h"

namespace simaqat {
namespace {

// The result of a shape operator of a static shape is known, whatever the data.
bool knownFromType(const Node& node) {
  const std::string& type = node.op().qualifiedName();
  return (type == "Shape" || type == "Size") && node.input(0)->type.isStatic();
}

bool isShape(const Node* node) {
  return node != nullptr && node->op().qualifiedName() == "Shape" &&
         node->input(0)->type.shape.has_value();
}

// What a Shape, or a Gather or Slice of one, tells of those dimensions that are known, as exporters
// write it for a head's size where the batch is open. Undefined where an open one is among them.
Tensor knownDimensions(const Graph& graph, const Node& node, ThreadPool& pool) {
  const std::string& type = node.op().qualifiedName();
  const bool takes_part = type == "Gather" || type == "Slice";
  const Node* shape = takes_part ? node.input(0)->producer() : &node;
  if (!isShape(shape)) return Tensor();
  // A tensor with an open dimension of 0 has no elements.
  std::vector<int64_t> dims;
  for (const Dim& dim : *shape->input(0)->type.shape) dims.push_back(dim.known() ? dim.value : 0);
  const Tensor like(shape->input(0)->type.element, dims);
  Tensor result = evaluateOnHost(graph, *shape, {like}, pool)[0];
  if (takes_part) {
    std::vector<Tensor> inputs = {result};
    for (size_t i = 1; i < node.inputCount(); ++i) {
      const Value* input = node.input(i);
      if (input != nullptr && !input->isConstant()) return Tensor();
      inputs.push_back(input == nullptr ? Tensor() : input->constant);
    }
    result = evaluateOnHost(graph, node, inputs, pool)[0];
  }
  const std::vector<int64_t> values = result.toVector<int64_t>();
  const bool all_known = std::find(values.begin(), values.end(), 0) == values.end();
  return all_known ? result : Tensor();
}

bool foldable(const Node& node) {
  if (node.op().random || node.op().commits || node.inputCount() == 0) return false;
  if (knownFromType(node)) return true;
  return std::all_of(node.inputs().begin(), node.inputs().end(),
                     [](const Value* v) { return v == nullptr || v->isConstant(); });
}

void replaceByConstants(Graph& graph, Node* node, const std::vector<Tensor>& results) {
  for (size_t i = 0; i < results.size(); ++i) {
    Value* output = node->output(i);
    Value* constant = graph.addConstant(output->name() + "/folded", results[i]);
    constant->quantizer = output->quantizer;
    graph.replaceUses(output, constant);
  }
  graph.removeNode(node);
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
      if (!foldable(*node)) {
        const Tensor known = knownDimensions(graph, *node, pool);
        if (known.defined()) replaceByConstants(graph, node, {known});
        continue;
      }
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
    replaceByConstants(graph, node, evaluateOnHost(graph, *node, inputs, pool));
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
