// Inserts the scaffolding of quantization-aware training: FakeQuantize nodes with their observers.
#pragma once

#include <string>
#include <vector>

#include "qat/ir/graph.h"

namespace simaqat {

// What a recipe changes for the nodes it matches. The last one that matches wins.
struct QuantizationOverride {
  std::string op_type;  // "" for any
  std::string node;     // a name pattern with * and ?, "" for any
  bool quantize = true;
};

struct ScaffoldOptions {
  std::vector<QuantizationOverride> overrides;
};

// One line of the report: what stands at a node's output, or why nothing does.
struct PlacementEntry {
  std::string node;
  std::string op_type;
  std::string output;  // "uint8 per tensor", or ""
  std::string weight;  // "int8 per channel (axis 0)", or ""
  std::string reason;  // why there is no quantizer at the output, or ""
};

// Quantizers stand at the float inputs and at the output of every operator that computes, with the
// exceptions that the operators' own traits state; constant weights get theirs in front of the node
// that uses them. Operations that have a form with integer kernels take it first (integer_forms.h).
// Returns the placement, in graph order. An override that matches nothing is an
// Error.
std::vector<PlacementEntry> scaffold(Graph& graph, const ScaffoldOptions& options);

// Sets Value::quantizer from the FakeQuantize nodes of the graph (as a file has them), and along
// the operators that share their input's.
void bindQuantizers(Graph& graph);

}  // namespace simaqat
