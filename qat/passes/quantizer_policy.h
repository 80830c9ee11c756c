// Which quantizer a recipe asks for, value by value.
#pragma once

#include <map>
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
  bool operator==(const QuantizerChoice& other) const;
  // Beyond whether to quantize at all.
  bool saysHow() const;
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

// Answers for the nodes of a graph, and keeps account of which overrides had an effect.
class QuantizerPolicy {
 public:
  // `options` has to outlive this. Nodes that are rewritten later still answer to what they were in
  // `graph`: a Gemm to the MatMul and the Add that it is made of. An input Error names an override
  // that matches no node and no input.
  QuantizerPolicy(const ScaffoldOptions& options, const Graph& graph);

  // What is said of the quantizer behind nodes that are fused, and of its last node's output, of a
  // weight, and of an input of the model.
  QuantizerChoice activation(const std::vector<const Node*>& fused) const;
  QuantizerChoice activation(const Node& node) const { return activation(std::vector{&node}); }
  QuantizerChoice weight(const Node& node) const;
  QuantizerChoice input(const Value& input) const;

  bool wantsOutput(const Node& node) const { return activation(node).quantize.value_or(true); }
  bool wantsWeight(const Node& node) const { return weight(node).quantize.value_or(true); }

  // Nothing where the node's weight has no axis of output channels, or stays float; one scale for
  // the whole where groups share the axis.
  std::optional<QuantizerSpec> weightSpec(const Node& node) const;
  // What overrides say, where they do.
  std::optional<int64_t> overriddenWeightBits(const Node& node) const;
  std::optional<int64_t> overriddenActivationBits(const std::vector<const Node*>& fused) const;

  // The overrides that match have an effect.
  void noteActivation(const std::vector<const Node*>& fused);
  void noteWeight(const Node& node);
  void noteInput(const Value& input);
  // An override with something to say of activations or weights that had no effect on any.
  struct Idle {
    size_t override_index;
    std::string key;  // "activation" or "weight"
  };
  std::optional<Idle> firstIdle() const;
  std::string describe(size_t override_index) const;
  // Whether that override is about this node.
  bool isAbout(size_t override_index, const Node& node) const;

 private:
  // What a node of the graph is called; one that was rewritten has several names.
  struct Title {
    std::string op_type;
    std::string name;
  };
  using Titles = std::vector<Title>;
  using Part = QuantizerChoice QuantizationOverride::*;

  Titles titlesOf(const Node& node) const;
  Titles titlesOf(const std::vector<const Node*>& nodes) const;
  static bool matches(const QuantizationOverride& rule, const Titles& titles);
  QuantizerChoice choice(const Titles& titles, Part part, QuantizerChoice result) const;
  void note(const Titles& titles, std::vector<bool>& effective) const;

  const ScaffoldOptions& options_;
  std::multimap<std::string, Title> by_name_;
  std::map<std::string, Title> by_output_;
  std::vector<bool> effective_activations_;  // by override
  std::vector<bool> effective_weights_;
};

// An input Error that names the culprit, a node or an input, where its observer cannot do what is
// asked.
QuantizerSpec activationSpec(const QuantizerChoice& asked, const std::string& culprit);

}  // namespace simaqat
