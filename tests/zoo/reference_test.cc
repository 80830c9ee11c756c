// Loss, gradients, running statistics and trajectories against PyTorch in float64.
#include <cmath>

#include "qat/autodiff/differentiate.h"
#include "qat/exec/executor.h"
#include "qat/passes/simplify.h"
#include "qat/train/step_graph.h"
#include "tests/catch.h"
#include "tests/zoo/zoo.h"

namespace simaqat {
namespace {

using zoo::batch;
using zoo::kNetworks;
using zoo::reference;

// A training step whose outputs are the loss and every weight's gradient.
Graph gradientGraph(const Graph& joined, const Tensor& input, std::vector<std::string>& names) {
  Graph graph = joined.clone();
  Specialization specialization;
  specialization.mode = Mode::kTrain;
  specialization.unbiased_running_var = true;
  specialize(graph, specialization);
  bindInputs(graph, input.dims()[0], zoo::sampleDims(input));
  bindShapes(graph, {});
  std::vector<Value*> parameters;
  for (const auto& variable : graph.variables()) {
    if (variable->trainable) parameters.push_back(variable->source);
  }
  const auto gradients = differentiate(graph, graph.outputs[0].value, parameters);
  for (Value* parameter : parameters) {
    const auto gradient = gradients.find(parameter);
    if (gradient == gradients.end()) continue;
    names.push_back(parameter->name());
    graph.outputs.push_back({"grad/" + parameter->name(), gradient->second});
  }
  foldConstants(graph);
  removeDeadCode(graph);
  return graph;
}

void setInputs(Executor& executor, const Tensor& input, const Tensor& labels) {
  executor.setInput(executor.inputIndex("input"), input);
  executor.setInput(executor.inputIndex("labels"), labels);
}

TEST_CASE("one step of the zoo's networks meets PyTorch") {
  if (zoo::sharedFolder().empty()) QAT_SKIP("../shared is not here");
  for (const std::string& network : kNetworks) {
    INFO(network);
    const Model model = loadModel(zoo::networkFolder(network) + "/model.onnx");
    const Tensor input = batch(network, "input");
    const Tensor labels = batch(network, "labels");
    std::vector<std::string> names;
    ThreadPool pool(2);
    Executor executor(gradientGraph(zoo::joinedWithCrossEntropy(model.graph), input, names), pool);
    setInputs(executor, input, labels);
    executor.compute(0);
    executor.commit();

    const double loss = reference(network, "loss").toVector<double>()[0];
    const double ours = executor.outputTensor(0).toVector<double>()[0];
    CHECK(std::fabs(ours - loss) <= 1e-5 * std::fabs(loss));
    double difference = 0;
    double whole = 0;
    for (size_t i = 0; i < names.size(); ++i) {
      const std::vector<double> ours = executor.outputTensor(i + 1).toVector<double>();
      const std::vector<double> theirs = reference(network, "grad/" + names[i]).toVector<double>();
      REQUIRE(ours.size() == theirs.size());
      for (size_t k = 0; k < ours.size(); ++k) {
        difference += (ours[k] - theirs[k]) * (ours[k] - theirs[k]);
        whole += theirs[k] * theirs[k];
      }
    }
    const double error = std::sqrt(difference / whole);
    WARN(network << ": gradient error " << error << " of the whole over " << names.size()
                 << " weights");
    CHECK(error <= 1e-4);

    for (const auto& variable : executor.graph().variables()) {
      if (variable->role != VariableRole::kBatchNormStatistic) continue;
      INFO(variable->name);
      const std::vector<double> ours = executor.variable(variable->name).toVector<double>();
      const std::vector<double> theirs =
          reference(network, "after/" + variable->name).toVector<double>();
      REQUIRE(ours.size() == theirs.size());
      for (size_t k = 0; k < ours.size(); ++k) {
        REQUIRE(std::fabs(ours[k] - theirs[k]) <= 1e-5 + 1e-5 * std::fabs(theirs[k]));
      }
    }
  }
}

TEST_CASE("eight steps of the zoo's networks meet PyTorch's trajectory") {
  if (zoo::sharedFolder().empty()) QAT_SKIP("../shared is not here");
  OptimizerOptions sgd;
  sgd.momentum = 0.9f;
  sgd.weight_decay = 1e-4f;
  for (const std::string& network : kNetworks) {
    if (!zoo::hasReference(network, "trajectory_loss")) continue;
    INFO(network);
    const Model model = loadModel(zoo::networkFolder(network) + "/model.onnx");
    const Tensor inputs = batch(network, "traj_input");
    const Tensor labels = batch(network, "traj_labels");
    const Tensor first = zoo::slice(inputs, 0);
    Specialization specialization;
    specialization.mode = Mode::kTrain;
    ThreadPool pool(2);
    Executor executor(buildTrainingStep(zoo::joinedWithCrossEntropy(model.graph), {specialization},
                                        sgd, first.dims()[0], zoo::sampleDims(first)),
                      pool);
    const Tensor rate = Tensor::scalar(0.005f);
    const std::vector<double> expected = reference(network, "trajectory_loss").toVector<double>();
    double worst = 0;
    for (size_t step = 0; step < expected.size(); ++step) {
      const Tensor input = zoo::slice(inputs, static_cast<int64_t>(step));
      const Tensor label = zoo::slice(labels, static_cast<int64_t>(step));
      setInputs(executor, input, label);
      executor.setInput(executor.inputIndex(kLearningRateInput), rate);
      executor.compute(static_cast<int64_t>(step));
      executor.commit();
      const double error =
          std::fabs(executor.scalarOutput(0) - expected[step]) / std::fabs(expected[step]);
      worst = std::max(worst, error);
      CHECK(error <= 1e-4);
    }
    WARN(network << ": worst relative error of the trajectory " << worst);
  }
}

}  // namespace
}  // namespace simaqat
