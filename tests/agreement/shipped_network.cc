#include "tests/agreement/shipped_network.h"

#include <cstdlib>

#include "qat/exec/executor.h"
#include "qat/onnx/check.h"
#include "qat/onnx/export.h"
#include "qat/onnx/opset.h"
#include "qat/passes/finalize.h"
#include "qat/passes/refresh_quantizers.h"
#include "qat/train/model.h"
#include "qat/train/parameters.h"
#include "qat/train/step_graph.h"
#include "tests/zoo/zoo.h"

namespace simaqat {
namespace {

std::string write(Graph& graph, Stage stage, int opset, const std::string& name) {
  const std::string path = std::string(std::getenv("TEST_TMPDIR")) + "/" + name;
  setStage(graph, stage);
  exportModel(graph, path, {leastOpset(graph, opset)});
  return path;
}

std::vector<double> train(Graph& graph, const Images& images, const ShortTraining& training,
                          ThreadPool& pool) {
  const int64_t batch = training.batch;
  OptimizerOptions sgd;
  sgd.weight_decay = 1e-4f;
  Executor executor(buildTrainingStep(zoo::joinedWithCrossEntropy(graph), {Mode::kTrain}, sgd,
                                      batch, zoo::sampleDims(images.pixels)),
                    pool);
  const Tensor rate = Tensor::scalar(training.learning_rate);
  executor.setInput(executor.inputIndex(kLearningRateInput), rate);
  std::vector<double> losses;
  for (int64_t step = 0; step < training.steps; ++step) {
    const Tensor pixels = rows(images.pixels, step * batch, batch);
    const Tensor labels = rows(images.labels, step * batch, batch);
    executor.setInput(executor.inputIndex("input"), pixels);
    executor.setInput(executor.inputIndex("labels"), labels);
    executor.compute(step);
    executor.commit();
    losses.push_back(executor.scalarOutput(0));
  }
  executor.writeBack(graph);
  refreshQuantizers(graph);
  return losses;
}

void fixUnusualGammas(Graph& graph) {
  for (const auto& node : graph.nodes()) {
    if (node->op().name != "BatchNormalization") continue;
    Variable* gamma = node->input(1)->variable;
    SIMAQAT_CHECK(gamma != nullptr && gamma->value.size() > 1, "{}", node->describe());
    float* values = gamma->value.mutableData<float>();
    values[0] = 0;
    values[1] = -values[1];
    gamma->trainable = false;
  }
}

}  // namespace

ShippedNetwork shipNetwork(const std::string& network, const ScaffoldOptions& recipe,
                           const Images& images, const ShortTraining& training, ThreadPool& pool) {
  Graph graph = loadModel(zoo::networkFolder(network) + "/model.onnx").graph;
  keepReached(graph);
  scaffold(graph, recipe);
  if (training.unusual_gammas) fixUnusualGammas(graph);
  storeTrainable(graph);
  std::vector<double> losses = train(graph, images, training, pool);
  ShippedNetwork shipped = ship(std::move(graph), network);
  shipped.losses = std::move(losses);
  return shipped;
}

ShippedNetwork ship(Graph graph, const std::string& network) {
  const std::string trained_path = write(graph, Stage::kTrained, 17, network + "_trained.onnx");
  Graph trained = loadModel(trained_path).graph;

  Graph finalized = trained.clone();
  finalize(finalized);
  const std::string final_path =
      write(finalized, Stage::kFinalized, 17, network + "_finalized.onnx");
  Graph exported = loadModel(final_path).graph;
  checkStandardModel(exported, leastOpset(exported, 13));
  const std::string exported_path = write(exported, Stage::kExported, 13, network + "_qdq.onnx");
  return {{},
          std::move(trained),
          std::move(finalized),
          loadModel(exported_path).graph,
          trained_path,
          exported_path};
}

Tensor evaluateAll(const Graph& graph, const Tensor& pixels, int64_t batch, ThreadPool& pool) {
  Executor executor(
      buildInference(graph.clone(), Mode::kEvaluate, batch, zoo::sampleDims(pixels)), pool);
  const int64_t samples = pixels.dims()[0];
  SIMAQAT_CHECK(samples % batch == 0);
  Tensor result;
  for (int64_t from = 0; from < samples; from += batch) {
    const Tensor part = rows(pixels, from, batch);
    executor.setInput(0, part);
    executor.compute(0);
    const TensorView& output = executor.output(0);
    if (from == 0) {
      std::vector<int64_t> dims = output.dims.toVector();
      dims[0] = samples;
      result = Tensor(output.type, dims);
    }
    std::copy_n(output.bytes, output.byteCount(),
                result.mutableRawData() + output.byteCount() * static_cast<size_t>(from / batch));
  }
  return result;
}

}  // namespace simaqat
