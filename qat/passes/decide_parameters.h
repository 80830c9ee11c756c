// Which initializers of a file train, and why the others do not.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "qat/ir/graph.h"

namespace simaqat {

// What a file itself says about its initializers.
struct ParameterEvidence {
  // All parameters, where the file lists them (metadata simaqat.parameters): nothing else is one.
  std::optional<std::set<std::string>> listed;
  // By name, where the exporter says for an initializer whether it is a parameter (true), or a
  // buffer or constant (false). Others are parameters only where the graph uses them as weights,
  // biases or normalizations' scales.
  std::map<std::string, bool> stated;
};

// An initializer that could train and does not.
struct ConstantInitializer {
  std::string name;
  std::vector<int64_t> dims;
  std::string reason;
};

// Import makes a variable of each initializer that a gradient could reach. This pass leaves those
// that are parameters and turns the others into constants, which it returns. A parameter is what
// `evidence` says is one. Without evidence it is what the graph uses as one: finite, no mask, no
// normalization of the model's input, and, where it is a single number, one that neither its name
// nor its use shows to be a number of the formula (an exponent, the epsilon of a norm, a bound).
// Constants that match one of the `forced` name patterns become parameters too. In a file whose
// weights are all Constant nodes these are read as initializers.
std::vector<ConstantInitializer> decideParameters(Graph& graph, const ParameterEvidence& evidence,
                                                  const std::vector<std::string>& forced);

// Whether an exporter made up the name, as TorchScript's does for what is not in the state_dict.
bool isGeneratedName(const std::string& name);

}  // namespace simaqat
