// Functions that an exporter wrote as many nodes, and that are quantized as one.
#pragma once

#include <unordered_map>

#include "qat/ir/graph.h"

namespace simaqat {

// Nodes that compute a function of one value, element by element or row by row (constants aside):
// GELU, HardSwish, Mish, a decomposed Softmax, LayerNormalization or RMSNormalization with its
// scale and bias. Maps each node whose result no other node sees to the node with which its
// function ends. SiLU written as Sigmoid and Mul is left as it is, since both have integer kernels
// with ONNX Runtime.
std::unordered_map<const Node*, const Node*> insideFunctions(const Graph& graph);

}  // namespace simaqat
