// Functions as a device approximates them: by a table, or by straight lines.
//
//   points = SamplePoints(scale, zero_point)   of the quantizer of x, or of a range that is given
//   values = Sigmoid(points)                   the function's own nodes, moved to the points
//   y = TableLookup(x, points, values)         or PiecewiseLinear
//
// So a table follows its quantizer from step to step, and the function can be had back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "qat/ir/graph.h"

namespace simaqat {

// What a recipe says of one function.
struct Approximation {
  std::string op_type;   // of ONNX's operator
  int64_t table = 0;     // entries, or 0
  int64_t segments = 0;  // straight lines, or 0
  // Where the function is sampled; absent: over all codes of its input's quantizer.
  std::optional<std::pair<float, float>> range;
  // finalize writes the function itself, and the device approximates it.
  bool ships_as_function = false;

  // "table 256", "16 segments"
  std::string toString() const;
};

// The nodes of an approximated function, in graph order.
struct ApproximatedFunction {
  const Approximation* how;
  std::vector<Node*> nodes;

  Node* end() const { return nodes.back(); }
};

// The functions of a graph that is not scaffolded yet: nodes of the operator, and what exporters write
// as several nodes (GELU by Erf, HardSwish by Clip, SiLU by Sigmoid) with the operator's values. A
// node is part of one function at most, the greatest. Input Errors name an operator that is no
// function of single elements, and one that the graph has not.
std::vector<ApproximatedFunction> approximatedFunctions(
    const Graph& graph, const std::vector<Approximation>& approximations);

// Puts the approximations in place, once the quantizers stand. An input Error names the functions
// that have no range: none was given, and their input has no quantizer.
void approximate(Graph& graph, const std::vector<ApproximatedFunction>& functions);

// A node that stands for a function: TableLookup or PiecewiseLinear.
bool isApproximation(const Node& node);

// What the names of a function's nodes end in while they are at the points.
constexpr char kSampledSuffix[] = "/sampled";

// Copies a function's nodes, in front of `before`, with `to` for its operand `from`. Returns the last
// one's output.
Value* copyFunction(Graph& graph, const std::vector<Node*>& nodes, const Value* from, Value* to,
                    Node* before, std::string (*renamed)(const std::string&));

// Puts the functions themselves back, where the values they see are not quantized.
void restoreFunctions(Graph& graph);
// The same everywhere.
void restoreAllFunctions(Graph& graph);

// For finalize, before variables become constants: puts back those that ship as functions.
void restoreShippedFunctions(Graph& graph);
// And once they are constants: standard operators for the others.
void lowerApproximations(Graph& graph);

}  // namespace simaqat
