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

// What the options say of single parameters.
class Settings {
 public:
  Settings(const Graph& graph, const OptimizerOptions& options) : options_(options) {
    if (options.layer_decay != 1) layer_factors_ = layerDecayFactors(graph, options.layer_decay);
  }

  void apply(ParameterUpdate& update) const {
    const Variable& parameter = *update.parameter;
    // What a quantizer learns has a learning rate of its own and does not decay.
    if (parameter.role == VariableRole::kQuantizerScale) {
      update.rate_factor = shareOfRate(options_.quantizer_learning_rate);
      update.weight_decay = 0;
      return;
    }
    const ParameterGroup* group = groupOf(parameter, options_.groups);
    const bool has_rate = group != nullptr && group->learning_rate;
    const bool decays = !matchesParameter(parameter, options_.no_decay);
    update.rate_factor = has_rate ? *group->learning_rate / options_.learning_rate : 1.0f;
    update.weight_decay = group != nullptr && group->weight_decay ? *group->weight_decay
                          : decays                                ? options_.weight_decay
                                                                  : 0.0f;
    const auto layer = layer_factors_.find(&parameter);
    if (layer != layer_factors_.end()) update.rate_factor *= layer->second;
  }

 private:
  // The schedule moves both rates alike. 0 is no rate of its own.
  float shareOfRate(float own) const {
    return own > 0 && options_.learning_rate > 0 ? own / options_.learning_rate : 1.0f;
  }

  const OptimizerOptions& options_;
  std::map<const Variable*, float> layer_factors_;
};

// How many steps are taken, with this one.
Value* countSteps(Graph& graph) {
  Variable* counter =
      graph.addVariable(kStepsVariable, VariableRole::kMomentum, Tensor(ElementType::kInt64, {}));
  Value* one = graph.addConstant(graph.uniqueName("simaqat/one"), Tensor::scalar(int64_t{1}));
  Value* next = graph.add("Add", kStepsVariable, {counter->source, one});
  counter->setNext(next);
  return next;
}

}  // namespace

std::vector<std::string> optimizerNames() {
  std::vector<std::string> names;
  for (const Optimizer& optimizer : optimizers()) names.emplace_back(optimizer.name);
  return names;
}

void addUpdates(Graph& graph, const std::vector<std::pair<Variable*, Value*>>& gradients,
                const OptimizerOptions& options) {
  const Optimizer optimizer = optimizerNamed(options.name);
  const Settings settings(graph, options);
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
    ParameterUpdate update{variable, gradient, rate, norm->output(1), steps, 1, 0};
    settings.apply(update);
    optimizer.add(graph, options, update);
  }
}

}  // namespace simaqat
