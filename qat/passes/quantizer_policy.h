// Which quantizer a recipe asks for, value by value.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "qat/ir/graph.h"
#include "qat/passes/approximate.h"

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
  // Functions as the device computes them.
  std::vector<Approximation> approximations;
  // Values that ONNX Runtime would compute and use in float have no quantizer.
  bool only_integer_kernels = false;
  // What finalize makes of biases: INT32 codes, or floats.
  bool integer_biases = true;
};

// Answers for a graph as it was before scaffolding.
class QuantizerPolicy {
 public:
  // `options` has to outlive this.
  explicit QuantizerPolicy(const ScaffoldOptions& options) : options_(options) {}

  // What is said of a node's output, of its weight, and of an input of the model.
  QuantizerChoice activation(const Node& node) const;
  QuantizerChoice weight(const Node& node) const;
  QuantizerChoice input(const Value& input) const;

  bool wantsOutput(const Node& node) const { return activation(node).quantize.value_or(true); }
  bool wantsWeight(const Node& node) const { return weight(node).quantize.value_or(true); }

  // Nothing where the node's weight has no axis of output channels, or stays float.
  std::optional<QuantizerSpec> weightSpec(const Node& node) const;

  // An input Error names an override that matches no node and no input.
  void checkOverrides(const Graph& graph) const;

 private:
  QuantizerChoice choice(const std::string& op_type, const std::string& name,
                         QuantizerChoice QuantizationOverride::*member,
                         QuantizerChoice result) const;

  const ScaffoldOptions& options_;
};

QuantizerSpec activationSpec(const QuantizerChoice& asked);

}  // namespace simaqat
