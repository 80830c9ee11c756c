// LSTM, GRU and RNN as PyTorch exports them: loss and gradients beside PyTorch's in float64
// (testdata/recurrent/make.py).
#include <cmath>
#include <filesystem>

#include "qat/autodiff/differentiate.h"
#include "qat/data/array_reader.h"
#include "qat/exec/executor.h"
#include "qat/passes/simplify.h"
#include "qat/train/loss.h"
#include "qat/train/model.h"
#include "qat/train/step_graph.h"
#include "tests/catch.h"

namespace simaqat {
namespace {

const std::string kFolder = "testdata/recurrent/";

std::vector<std::string> cases() {
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(kFolder)) {
    if (file.path().extension() == ".onnx") names.push_back(file.path().stem());
  }
  return names;
}

Tensor arrayOf(const std::string& name, const std::string& key) {
  return readArray(kFolder + name + ".npz#" + key);
}

std::vector<int64_t> sampleDims(const Tensor& batch) {
  return {batch.dims().begin() + 1, batch.dims().end()};
}

// A step whose outputs are the loss and every parameter's gradient.
Graph gradientGraph(const Graph& model, const Tensor& input, const Tensor& target) {
  const std::vector<std::string> fields = {"input", "target"};
  const Loss loss = loadLoss("mse", model, fields);
  Graph graph = joinLoss(model, loss.graph, bindLoss(loss.graph, model, fields, {}));
  Specialization specialization;
  specialization.mode = Mode::kTrain;
  specialize(graph, specialization);
  bindInputs(graph, input.dims()[0],
             {{"input", sampleDims(input)}, {"target", sampleDims(target)}});
  bindShapes(graph, {});
  std::vector<Value*> parameters;
  for (const auto& variable : graph.variables()) {
    if (variable->trainable) parameters.push_back(variable->source);
  }
  const auto gradients = differentiate(graph, graph.outputs[0].value, parameters);
  for (const auto& [parameter, gradient] : gradients) {
    graph.outputs.push_back({parameter->name(), gradient});
  }
  foldConstants(graph);
  removeDeadCode(graph);
  return graph;
}

void check(const std::string& name) {
  const Model model = loadModel(kFolder + name + ".onnx");
  const Tensor input = arrayOf(name, "input"), target = arrayOf(name, "target");
  ThreadPool pool(2);
  Executor executor(gradientGraph(model.graph, input, target), pool);
  executor.setInput(executor.inputIndex("input"), input);
  executor.setInput(executor.inputIndex("target"), target);
  executor.compute(0);
  const double loss = arrayOf(name, "loss").toVector<double>()[0];
  CHECK(executor.scalarOutput(0) == Catch::Approx(loss).epsilon(1e-6));
  const auto& outputs = executor.graph().outputs;
  const auto& variables = model.graph.variables();
  CHECK(outputs.size() == variables.size() + 1);  // each parameter has a gradient
  for (size_t i = 1; i < outputs.size(); ++i) {
    INFO(outputs[i].name);
    const std::vector<double> ours = executor.outputTensor(i).toVector<double>();
    const std::vector<double> theirs = arrayOf(name, "grad/" + outputs[i].name).toVector<double>();
    REQUIRE(ours.size() == theirs.size());
    double difference = 0, whole = 0;
    for (size_t k = 0; k < ours.size(); ++k) {
      difference += std::pow(ours[k] - theirs[k], 2);
      whole += std::pow(theirs[k], 2);
    }
    CHECK(std::sqrt(difference) <= 1e-5 * std::sqrt(whole));
  }
}

}  // namespace

TEST_CASE("recurrent networks have PyTorch's losses and gradients") {
  const std::vector<std::string> names = cases();
  CHECK(names.size() >= 9);
  for (const std::string& name : names) {
    INFO(name);
    check(name);
  }
}

}  // namespace simaqat
