#include "qat/passes/approximate.h"
#include "qat/passes/simplify.h"

namespace simaqat {

void specialize(Graph& graph, const Specialization& specialization) {
  if (specialization.mode != Mode::kTrain) {
    // Evaluation changes nothing, so that what is derived from weights folds away. Calibration
    // changes the observers, which set their variables' next values below.
    for (const auto& variable : graph.variables()) variable->setNext(nullptr);
  }
  for (Node* node : graph.nodeSequence()) {
    if (node->op().specialize != nullptr) node->op().specialize(graph, *node, specialization);
  }
  // Calibration sees floats.
  specialization.mode == Mode::kCalibrate ? restoreAllFunctions(graph) : restoreFunctions(graph);
  for (const auto& variable : graph.variables()) {
    if (variable->next() == variable->source) variable->setNext(nullptr);
  }
  if (specialization.mode == Mode::kEvaluate) {
    while (!graph.variables().empty()) graph.freezeVariable(graph.variables().back().get());
  }
  removeDeadCode(graph);
}

std::vector<const Node*> randomDraws(const Graph& evaluated) {
  std::vector<const Node*> draws;
  for (const auto& node : evaluated.nodes()) {
    // One that has a hook draws nothing in evaluation: Dropout, where its mask is used.
    if (node->op().random && node->op().specialize == nullptr) draws.push_back(node.get());
  }
  return draws;
}

void requireDeterminedEvaluation(const Graph& graph) {
  Graph evaluated = graph.clone();
  specialize(evaluated, {Mode::kEvaluate});
  for (const Node* node : randomDraws(evaluated)) {
    node->fail(
        "draws random numbers that an output depends on in evaluation; only Dropout and stochastic "
        "depth (x * draw / keep) are recognized and left out there");
  }
}

}  // namespace simaqat
