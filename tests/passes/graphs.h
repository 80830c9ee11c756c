// Graphs as text, and ways to run them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "qat/ir/graph.h"
#include "qat/ir/op.h"
#include "qat/ir/printer.h"
#include "qat/ops/registry.h"
#include "qat/passes/scaffold.h"

namespace simaqat {

// From text (see qat/ir/parser.h), verified.
Graph parse(const std::string& text);
// Without the spaces that lines of raw strings begin with, or the first line break.
std::string unindented(const std::string& text);
// The graph as text, verified; its lines that hold `word` alone.
std::string linesWith(const Graph& graph, const std::string& word);
size_t countNodes(const Graph& graph, const std::string& op_type);
// The node that makes the value `name`.
const Node& producerOf(const Graph& graph, std::string_view name);

// Standard normal numbers, the same for the same seed.
Tensor randomTensor(const std::vector<int64_t>& dims, uint64_t seed);
// Gives weights random values, and BatchNormalization random statistics.
void randomizeVariables(Graph& graph, uint64_t seed);

// What the outputs are for these inputs, in the order of graph.inputs. Symbols of dimensions are
// bound to 4.
std::vector<Tensor> run(const Graph& graph, const std::vector<Tensor>& inputs);
// The gradient of the sum of the float outputs by each input; undefined where none reaches it.
// `fused`: elementwise nodes run as one, as in training.
std::vector<Tensor> gradients(const Graph& graph, const std::vector<Tensor>& inputs,
                              bool fused = false);
// Quantizes, or not, the outputs and weights of the nodes that match.
QuantizationOverride quantized(const std::string& op_type, const std::string& node, bool quantize);
// Sets the ranges of a scaffolded graph's quantizers from the inputs.
void calibrate(Graph& graph, const std::vector<Tensor>& inputs);
// A copy specialized to evaluation.
Graph evaluationOf(const Graph& graph);

}  // namespace simaqat
