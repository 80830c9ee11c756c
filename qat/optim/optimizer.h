// Optimizers as graph nodes: each adds what gives a parameter, and the optimizer's own state of it,
// their values after a step.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "qat/ir/graph.h"
#include "qat/optim/groups.h"

namespace simaqat {

struct OptimizerOptions {
  std::string name = "sgd";  // of optimizerNames()
  float learning_rate = 0.01f;
  float weight_decay = 0;
  std::vector<std::string> no_decay;  // name patterns, or the kinds "bias" and "norm"
  std::vector<ParameterGroup> groups;
  float layer_decay = 1;              // of the learning rate, from each layer to the one before it
  float clip_norm = 0;                // 0: no limit
  float quantizer_learning_rate = 0;  // of learned scales; 0: as learning_rate
  float average_decay = 0;            // of the weights' average, which is saved; 0: no average
  // sgd
  float momentum = 0.9f;
  bool nesterov = false;
  // adam, adamw
  double beta1 = 0.9;
  double beta2 = 0.999;
  float epsilon = 1e-8f;
};

// What the options say of one parameter.
struct ParameterSettings {
  float rate_factor = 1;  // of the step's learning rate
  float weight_decay = 0;
};

// Of each variable of a model that is as its file has it: a step's graph has operators of its own,
// which do not say what a parameter is (parameter_kind.h).
std::map<std::string, ParameterSettings> parameterSettings(const Graph& graph,
                                                           const OptimizerOptions& options);

// What an optimizer needs to update one parameter.
struct ParameterUpdate {
  Variable* parameter;
  Value* gradient;
  Value* rate;            // the step's learning rate, a scalar
  Value* gradient_scale;  // the factor that clips the gradients' norm
  Value* steps;           // int64: how many are taken with this one; null unless counted
  ParameterSettings settings;
};

struct Optimizer {
  const char* name;
  bool counts_steps;
  // Adds the update and the variables of its state, which begin as zeros.
  void (*add)(Graph& graph, const OptimizerOptions& options, const ParameterUpdate& update);
};

std::vector<std::string> optimizerNames();

// The graph input that is the step's learning rate.
constexpr char kLearningRateInput[] = "simaqat/learning_rate";

// Adds the update of each variable by its gradient, with the learning rate as a new last input, and
// the norm of all gradients as a new last output. An unknown optimizer is a usage Error.
void addUpdates(Graph& graph, const std::vector<std::pair<Variable*, Value*>>& gradients,
                const std::map<std::string, ParameterSettings>& settings,
                const OptimizerOptions& options);

}  // namespace simaqat
