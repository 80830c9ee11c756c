// Inserts the scaffolding of quantization-aware training: FakeQuantize nodes with their observers.
#pragma once

#include <string>
#include <vector>

#include "qat/ir/graph.h"
#include "qat/passes/quantizer_policy.h"

namespace simaqat {

// One line of the report: what stands at a node's output, or why nothing does.
struct PlacementEntry {
  std::string node;
  std::string op_type;
  std::string output;  // "uint8 per tensor", or ""
  std::string weight;  // "int8 per channel (axis 0)", or ""
  std::string reason;  // why there is no quantizer at the output, or ""
  // How ONNX Runtime will run it, or what keeps it from an integer kernel; "" where the output does
  // not follow from float data.
  std::string kernel;
};

// Quantizers stand at the float inputs and at the output of every operator that computes, with the
// exceptions that the operators' own traits state; constant weights get theirs in front of the node
// that uses them. Functions that the options name are approximated (approximate.h). Operations that have a form with integer kernels take it first (integer_forms.h).
// Returns the placement, in graph order. An override that matches nothing is an
// Error.
std::vector<PlacementEntry> scaffold(Graph& graph, const ScaffoldOptions& options);

}  // namespace simaqat
