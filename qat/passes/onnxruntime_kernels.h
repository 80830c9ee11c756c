// What ONNX Runtime computes on integers: found by experiment with versions 1.21 and 1.30.
#pragma once

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "qat/ir/graph.h"

namespace simaqat {

// Whether its QDQ rules give the node, between DequantizeLinear and QuantizeLinear, an integer
// kernel, or none at all: where it only moves codes, or is folded into its neighbour.
bool hasIntegerKernel(const Node& node);

// Whether that kernel computes other numbers than the operator, so that the node's result must not be
// quantized right behind it.
bool computesOtherwise(const Node& node);

// Whether that kernel wants every float operand quantized, those that are stored too.
bool wantsQuantizedOperands(const Node& node);

// Whether a node that uses the value, directly or behind operators that share its quantizer, has
// one.
bool feedsIntegerKernel(const Value* value);

enum class RuntimeKernel {
  kInteger,     // computes on codes
  kMovesCodes,  // passes codes on
  kGone,        // folded into its neighbour, or without effect in evaluation
  kFloat,
  kRefused,  // it makes a node of it for which it has no kernel, and does not load the file
};

struct KernelPrediction {
  RuntimeKernel kernel = RuntimeKernel::kFloat;
  std::string reason;  // the rule that stops it, for kFloat and kRefused

  // "integer", "moves codes", "gone", "float: its output is float", "refused: no kernel for uint4"
  std::string toString() const;
};

// Whether there are any but those of the inputs.
bool hasSignedActivations(const Graph& scaffolded);

// The nodes for which ONNX Runtime does not load the exported file, with its optimizations on: a Conv
// whose input and output have codes of one 4-bit type and whose weight has not, and MaxPool of 4-bit
// codes.
std::vector<const Node*> refusedNodes(const Graph& scaffolded);

// How ONNX Runtime runs what each node of a scaffolded graph is exported as, on a processor for
// which it has integer kernels (version 1.30). Of the nodes whose float output depends on the float
// inputs of the model; none of a graph with signed activations behind the inputs, some of which it
// rewrites first.
// `approximated` are the ends of functions that will ship as operators which approximate them.
std::unordered_map<const Node*, KernelPrediction> predictKernels(
    const Graph& scaffolded, const std::unordered_set<const Node*>& approximated);

}  // namespace simaqat
