// Inserts the scaffolding of quantization-aware training: FakeQuantize nodes with their observers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "qat/ir/graph.h"

namespace simaqat {

// What a recipe says of a quantizer; what it leaves open stays as it was.
struct QuantizerChoice {
  std::optional<bool> quantize;
  std::optional<int64_t> bits;  // activations 4, 8 or 16; weights 2 to 8 or 16
  std::optional<bool> is_signed;
  std::optional<bool> symmetric;
  std::optional<bool> per_channel;
  std::optional<std::string> observer;  // of QuantizerSpec
  std::optional<float> percentile;
  std::optional<float> averaging_constant;

  // What `over` says goes before what this one says.
  void update(const QuantizerChoice& over);
};

// What a recipe changes for the nodes it matches. Later ones go before earlier ones.
struct QuantizationOverride {
  std::string op_type;  // "" for any; "input" for the model's inputs
  std::string node;     // a name pattern with * and ?, "" for any
  QuantizerChoice activation;
  QuantizerChoice weight;
};

struct ScaffoldOptions {
  // Where no override says else.
  QuantizerChoice activation;
  QuantizerChoice weight;
  std::vector<QuantizationOverride> overrides;
  // Values that ONNX Runtime would compute and use in float have no quantizer.
  bool only_integer_kernels = false;
  // What finalize makes of biases: INT32 codes, or floats.
  bool integer_biases = true;
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
