// Twenty steps of AdamW on a convolutional network and a transformer, beside PyTorch's in float64
// (testdata/optim/make_zoo.py).
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "qat/exec/executor.h"
#include "qat/train/step_graph.h"
#include "tests/catch.h"
#include "tests/zoo/zoo.h"

namespace simaqat {
namespace {

using Json = nlohmann::json;

OptimizerOptions optionsOf(const Json& run) {
  OptimizerOptions options;
  options.name = "adamw";
  options.learning_rate = run["lr"].get<float>();
  options.weight_decay = run["weight_decay"].get<float>();
  for (const Json& given : run["groups"]) {
    ParameterGroup group;
    group.pattern = given[0].get<std::string>();
    if (given[1].contains("lr")) group.learning_rate = given[1]["lr"].get<float>();
    if (given[1].contains("weight_decay"))
      group.weight_decay = given[1]["weight_decay"].get<float>();
    options.groups.push_back(group);
  }
  return options;
}

// The largest relative differences from PyTorch's: of a loss, and of how far a parameter moved.
struct Difference {
  double loss = 0, moved = 0;
};

double movedBy(const Tensor& after, const Tensor& before) {
  double sum = 0;
  for (int64_t i = 0; i < after.size(); ++i) {
    sum += std::pow(double{after.data<float>()[i]} - before.data<float>()[i], 2);
  }
  return std::sqrt(sum);
}

Difference differenceOf(const std::string& network, const Json& run) {
  const Model model = loadModel(zoo::networkFolder(network) + "/model.onnx");
  const Tensor inputs = zoo::batch(network, "traj_input");
  const Tensor labels = zoo::batch(network, "traj_labels");
  const Tensor first = zoo::slice(inputs, 0);
  Specialization specialization;
  specialization.mode = Mode::kTrain;
  ThreadPool pool(2);
  Executor executor(buildTrainingStep(zoo::joinedWithCrossEntropy(model.graph), {specialization},
                                      optionsOf(run), first.dims()[0], zoo::sampleDims(first)),
                    pool);
  const Tensor rate = Tensor::scalar(run["lr"].get<float>());
  executor.setInput(executor.inputIndex(kLearningRateInput), rate);
  Difference worst;
  for (size_t step = 0; step < run["losses"].size(); ++step) {
    const int64_t at = static_cast<int64_t>(step) % inputs.dims()[0];
    const Tensor input = zoo::slice(inputs, at);
    const Tensor label = zoo::slice(labels, at);
    executor.setInput(executor.inputIndex("input"), input);
    executor.setInput(executor.inputIndex("labels"), label);
    executor.compute(static_cast<int64_t>(step));
    executor.commit();
    const double expected = run["losses"][step].get<double>();
    worst.loss = std::max(worst.loss, std::fabs(executor.scalarOutput(0) - expected) / expected);
  }
  for (const auto& [name, expected] : run["moved"].items()) {
    const double moved = movedBy(executor.variable(name), model.graph.findVariable(name)->value);
    worst.moved = std::max(worst.moved, std::fabs(moved / expected.get<double>() - 1));
  }
  return worst;
}

}  // namespace

TEST_CASE("twenty steps of AdamW meet PyTorch's") {
  if (zoo::sharedFolder().empty()) QAT_SKIP("../shared is not here");
  const Json document = Json::parse(std::ifstream("testdata/optim/zoo.json"));
  for (const auto& [network, runs] : document.items()) {
    for (const char* name : {"plain", "groups"}) {
      INFO(network << ", " << name);
      const Difference worst = differenceOf(network, runs.at(name));
      WARN(network << ", " << name << ": worst relative difference of a loss " << worst.loss
                   << ", of a parameter's way " << worst.moved);
      CHECK(worst.loss <= 1e-5);
      // Adam divides by the gradient's size: of gradients that are nearly 0 it makes steps of
      // noise.
      CHECK(worst.moved <= 2e-2);
    }
  }
}

}  // namespace simaqat
