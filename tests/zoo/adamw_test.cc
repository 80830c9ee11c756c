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
    if (given[1].contains("weight_decay")) group.weight_decay = given[1]["weight_decay"].get<float>();
    options.groups.push_back(group);
  }
  return options;
}

// The largest relative difference of the losses.
double distance(const std::string& network, const Json& run) {
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
  double worst = 0;
  for (size_t step = 0; step < run["losses"].size(); ++step) {
    const int64_t at = static_cast<int64_t>(step) % inputs.dims()[0];
    const Tensor input = zoo::slice(inputs, at);
    const Tensor label = zoo::slice(labels, at);
    executor.setInput(executor.inputIndex("input"), input);
    executor.setInput(executor.inputIndex("labels"), label);
    executor.compute(static_cast<int64_t>(step));
    executor.commit();
    const double expected = run["losses"][step].get<double>();
    worst = std::max(worst, std::fabs(executor.scalarOutput(0) - expected) / expected);
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
      const double worst = distance(network, runs.at(name));
      WARN(network << ", " << name << ": worst relative difference " << worst);
      CHECK(worst <= 1e-5);
    }
  }
}

}  // namespace simaqat
