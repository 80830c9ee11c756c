#include "qat/optim/adam.h"

#include "qat/ops/shared/adam_attributes.h"

namespace simaqat {
namespace {

void add(Graph& graph, const OptimizerOptions& options, const ParameterUpdate& u,
         bool decoupled_weight_decay) {
  const auto moment = [&](const char* suffix) {
    const Tensor zeros(ElementType::kFloat, u.parameter->value.dims());
    return graph.addVariable(u.parameter->name + suffix, VariableRole::kMomentum, zeros);
  };
  Variable* first = moment("/exp_avg");
  Variable* second = moment("/exp_avg_sq");
  ops::AdamAttributes attributes;
  attributes.complement1 = static_cast<float>(1 - options.beta1);
  attributes.complement2 = static_cast<float>(1 - options.beta2);
  attributes.epsilon = options.epsilon;
  attributes.weight_decay = u.settings.weight_decay;
  attributes.decoupled_weight_decay = decoupled_weight_decay;
  attributes.rate_factor = u.settings.rate_factor;
  Graph::NodeOptions three_outputs;
  three_outputs.output_count = 3;
  const Node* update = graph.addNode("simaqat::Adam", u.parameter->name + "/update",
                                     {u.parameter->source, u.gradient, first->source,
                                      second->source, u.rate, u.gradient_scale, u.steps},
                                     wrapAttributes(attributes), three_outputs);
  u.parameter->setNext(update->output(0));
  first->setNext(update->output(1));
  second->setNext(update->output(2));
}

void addAdam(Graph& graph, const OptimizerOptions& options, const ParameterUpdate& update) {
  add(graph, options, update, false);
}

void addAdamW(Graph& graph, const OptimizerOptions& options, const ParameterUpdate& update) {
  add(graph, options, update, true);
}

}  // namespace

Optimizer adam() { return {"adam", true, addAdam}; }
Optimizer adamw() { return {"adamw", true, addAdamW}; }

}  // namespace simaqat
