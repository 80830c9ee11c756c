// Functions that an exporter wrote as many nodes, and that are quantized as one.
#pragma once

#include <unordered_map>
#include <vector>

#include "qat/ir/graph.h"

namespace simaqat {

// ONNX's basic elementwise operators, of which exporters make functions.
bool isBasicElementwise(const OpDefinition& op);

// Nodes, in graph order, whose last one gives a function of one value, and whose other results
// no other node sees.
struct Function {
  std::vector<Node*> nodes;
  const Value* root = nullptr;
  // It normalizes, with reductions or vectors of scales, and is not one of single elements.
  bool of_rows = false;

  Node* end() const { return nodes.back(); }
};

// All functions of the graph that are written with ONNX's basic elementwise operators and reductions,
// those of one node among them.
std::vector<Function> functionsOf(const Graph& graph);

// Of GELU, HardSwish, Mish, a decomposed Softmax, LayerNormalization or RMSNormalization with its
// scale and bias, and of all other functions: maps each node whose result no other node sees to the
// node with which its function ends. SiLU written as Sigmoid and Mul is left as it is, since both have integer kernels
// with ONNX Runtime.
std::unordered_map<const Node*, const Node*> insideFunctions(const Graph& graph);

}  // namespace simaqat
