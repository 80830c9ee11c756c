#include "qat/optim/sgd.h"

#include "qat/ops/shared/sgd_attributes.h"

namespace simaqat {
namespace {

void add(Graph& graph, const OptimizerOptions& options, const ParameterUpdate& u) {
  const Tensor zeros(ElementType::kFloat, u.parameter->value.dims());
  Variable* momentum =
      graph.addVariable(u.parameter->name + "/momentum", VariableRole::kMomentum, zeros);
  Graph::NodeOptions two_outputs;
  two_outputs.output_count = 2;
  const Node* update =
      graph.addNode("simaqat::SgdMomentum", u.parameter->name + "/update",
                    {u.parameter->source, u.gradient, momentum->source, u.rate, u.gradient_scale},
                    wrapAttributes(ops::SgdAttributes{options.momentum, u.settings.weight_decay,
                                                      options.nesterov, u.settings.rate_factor}),
                    two_outputs);
  u.parameter->setNext(update->output(0));
  momentum->setNext(update->output(1));
}

}  // namespace

Optimizer sgd() { return {"sgd", false, add}; }

}  // namespace simaqat
