#include "qat/optim/optimizer.h"

#include "qat/base/error.h"
#include "qat/base/text.h"
#include "qat/ops/shared/sgd_attributes.h"
#include "qat/optim/adam.h"
#include "qat/optim/sgd.h"
#include "qat/passes/parameter_kind.h"

namespace simaqat {
namespace {

constexpr char kStepsVariable[] = "simaqat/optimizer_steps";

std::vector<Optimizer> optimizers() { return {sgd(), adam(), adamw()}; }

Optimizer optimizerNamed(const std::string& name) {
  for (const Optimizer& optimizer : optimizers()) {
    if (name == optimizer.name) return optimizer;
  }
  throw usageError("--optimizer {}: expected one of {}", name, joined(optimizerNames()));
}

// How many steps are taken, with this one.
Value* countSteps(Graph& graph) {
  Variable* counter =
      graph.addVariable(kStepsVariable, VariableRole::kMomentum, Tensor(ElementType::kInt64, {}));
  Value* one = graph.addConstant(graph.uniqueName("simaqat/one"), Tensor::scalar(int64_t{1}));
  Value* next = graph.add("Add", kStepsVariable, {counter->source, one});
  counter->setNext(next);
  return next;
}

// The schedule moves both rates alike. 0 is no rate of its own.
float shareOfRate(float own, const OptimizerOptions& options) {
  return own > 0 && options.learning_rate > 0 ? own / options.learning_rate : 1.0f;
}

ParameterSettings settingsOf(const Variable& parameter, const OptimizerOptions& options) {
  // What a quantizer learns has a learning rate of its own and does not decay.
  if (parameter.role == VariableRole::kQuantizerScale) {
    return {shareOfRate(options.quantizer_learning_rate, options), 0};
  }
  const ParameterGroup* group = groupOf(parameter, options.groups);
  const bool decays = !matchesParameter(parameter, options.no_decay);
  ParameterSettings settings{1, decays ? options.weight_decay : 0};
  if (group != nullptr && group->learning_rate) {
    settings.rate_factor = *group->learning_rate / options.learning_rate;
  }
  if (group != nullptr && group->weight_decay) settings.weight_decay = *group->weight_decay;
  return settings;
}

}  // namespace

std::vector<std::string> optimizerNames() {
  std::vector<std::string> names;
  for (const Optimizer& optimizer : optimizers()) names.emplace_back(optimizer.name);
  return names;
}

std::map<std::string, ParameterSettings> parameterSettings(const Graph& graph,
                                                           const OptimizerOptions& options) {
  std::map<const Variable*, float> layer_factors;
  if (options.layer_decay != 1) layer_factors = layerDecayFactors(graph, options.layer_decay);
  std::map<std::string, ParameterSettings> all;
  for (const auto& variable : graph.variables()) {
    ParameterSettings settings = settingsOf(*variable, options);
    const auto layer = layer_factors.find(variable.get());
    if (layer != layer_factors.end()) settings.rate_factor *= layer->second;
    all[variable->name] = settings;
  }
  return all;
}

void addUpdates(Graph& graph, const std::vector<std::pair<Variable*, Value*>>& gradients,
                const std::map<std::string, ParameterSettings>& settings,
                const OptimizerOptions& options) {
  const Optimizer optimizer = optimizerNamed(options.name);
  std::vector<Value*> all;
  for (const auto& [variable, gradient] : gradients) all.push_back(gradient);
  Graph::NodeOptions two_outputs;
  two_outputs.output_count = 2;
  const Node* norm =
      graph.addNode("simaqat::GradientNorm", "simaqat/gradient_norm", all,
                    wrapAttributes(ops::GradientNormAttributes{options.clip_norm}), two_outputs);
  graph.outputs.push_back({norm->output()->name(), norm->output()});
  Value* rate = graph.addInput(kLearningRateInput, {ElementType::kFloat, Shape{}});
  Value* steps = optimizer.counts_steps ? countSteps(graph) : nullptr;
  for (const auto& [variable, gradient] : gradients) {
    optimizer.add(graph, options,
                  {variable, gradient, rate, norm->output(1), steps, settings.at(variable->name)});
  }
}

}  // namespace simaqat
