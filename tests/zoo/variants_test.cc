// One ResNet-20 as exporters write it: each file imports, prepares and trains.
#include <cmath>

#include "qat/exec/executor.h"
#include "qat/passes/scaffold.h"
#include "qat/train/step_graph.h"
#include "tests/catch.h"
#include "tests/zoo/zoo.h"

namespace simaqat {
namespace {

std::vector<std::string> variantFiles() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(zoo::networkFolder("variants"))) {
    files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// The losses of a few steps on one batch.
std::vector<double> trainSteps(const Graph& model, int steps) {
  Tensor input = zoo::batch("resnet20", "input");
  Tensor labels = zoo::batch("resnet20", "labels");
  const auto& shape = *model.inputs[0]->type.shape;
  const int64_t batch = shape[0].known() ? shape[0].value : input.dims()[0];
  if (shape[2].value != input.dims()[2]) input = zoo::batch("efficientnet_tiny", "input");
  const auto rows = [&](const Tensor& tensor) {
    std::vector<int64_t> dims = tensor.dims();
    dims[0] = batch;
    Tensor part(tensor.type(), dims);
    std::copy_n(tensor.rawData(), part.bytes(), part.mutableRawData());
    return part;
  };
  input = rows(input);
  labels = rows(labels);
  Specialization specialization;
  specialization.mode = Mode::kTrain;
  OptimizerOptions sgd;
  ThreadPool pool(2);
  Executor executor(buildTrainingStep(zoo::joinedWithCrossEntropy(model), {specialization}, sgd, batch,
                                      zoo::sampleDims(input)),
                    pool);
  const Tensor rate = Tensor::scalar(0.005f);
  executor.setInput(executor.inputIndex("input"), input);
  executor.setInput(executor.inputIndex("labels"), labels);
  executor.setInput(executor.inputIndex(kLearningRateInput), rate);
  std::vector<double> losses;
  for (int step = 0; step < steps; ++step) {
    executor.compute(step);
    executor.commit();
    losses.push_back(executor.scalarOutput(0));
  }
  return losses;
}

TEST_CASE("every variant imports and trains, in float and with quantization") {
  if (zoo::sharedFolder().empty()) QAT_SKIP("../shared is not here");
  for (const std::string& file : variantFiles()) {
    INFO(file);
    Model model = loadModel(file);
    const std::vector<double> in_float = trainSteps(model.graph, 4);
    for (double loss : in_float) CHECK(std::isfinite(loss));
    CHECK(in_float.back() < in_float.front());
    scaffold(model.graph, {});
    const std::vector<double> quantized = trainSteps(model.graph, 4);
    for (double loss : quantized) CHECK(std::isfinite(loss));
    CHECK(quantized.back() < quantized.front());
  }
}

TEST_CASE("opsets and forms of one network give one loss") {
  if (zoo::sharedFolder().empty()) QAT_SKIP("../shared is not here");
  const double expected =
      trainSteps(loadModel(zoo::networkFolder("variants") + "/resnet20_opset17.onnx").graph, 1)[0];
  for (const char* name : {"opset9", "opset11", "opset13", "opset14", "opset15",
                           "opset18", "opset20", "init_as_inputs"}) {
    INFO(name);
    const Model model = loadModel(zoo::networkFolder("variants") + "/resnet20_" + name + ".onnx");
    CHECK(trainSteps(model.graph, 1)[0] == expected);
  }
}

TEST_CASE("merged initializers are separated, and each BatchNormalization has its own state") {
  if (zoo::sharedFolder().empty()) QAT_SKIP("../shared is not here");
  for (const char* name : {"eval_bn_kept", "eval_shared_initializers"}) {
    INFO(name);
    const Model model = loadModel(zoo::networkFolder("variants") + "/resnet20_" + name + ".onnx");
    CHECK(model.warnings.size() == 2);
    int statistics = 0;
    for (const auto& variable : model.graph.variables()) {
      if (variable->role == VariableRole::kBatchNormStatistic) ++statistics;
      CHECK((variable->role != VariableRole::kBatchNormStatistic || variable->next() != nullptr));
    }
    CHECK(statistics == 42);
    CHECK(model.graph.findVariable("11.b2.running_var") != nullptr);
    CHECK(model.graph.findVariable("11.b2.weight") != nullptr);
  }
}

}  // namespace
}  // namespace simaqat
