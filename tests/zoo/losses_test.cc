// Losses as exporters write them: values and gradients against PyTorch in float64.
#include <cmath>
#include <functional>

#include "qat/autodiff/differentiate.h"
#include "qat/exec/executor.h"
#include "qat/ops/registry.h"
#include "qat/passes/simplify.h"
#include "qat/passes/stop_gradient.h"
#include "tests/catch.h"
#include "tests/zoo/zoo.h"

namespace simaqat {
namespace {

constexpr double kTolerance = 1e-5;

struct LossCase {
  std::string path;  // without ".onnx"
  Tensor stored(const std::string& key) const { return readArray(path + ".npz#" + key); }
};

std::vector<LossCase> lossCases() {
  std::vector<LossCase> cases;
  for (const auto& entry : std::filesystem::directory_iterator(zoo::sharedFolder() + "/losses")) {
    std::filesystem::path path = entry.path();
    if (path.extension() == ".onnx") cases.push_back({path.replace_extension().string()});
  }
  std::sort(cases.begin(), cases.end(),
            [](const LossCase& a, const LossCase& b) { return a.path < b.path; });
  return cases;
}

bool hasArray(const LossCase& loss, const std::string& key) {
  try {
    loss.stored(key);
    return true;
  } catch (const Error&) {
    return false;
  }
}

// |a - b| / |b| over all elements.
double relativeError(const Tensor& a, const Tensor& b) {
  REQUIRE(a.dims() == b.dims());
  const std::vector<double> ours = a.toVector<double>();
  const std::vector<double> theirs = b.toVector<double>();
  double difference = 0;
  double whole = 0;
  for (size_t i = 0; i < ours.size(); ++i) {
    difference += (ours[i] - theirs[i]) * (ours[i] - theirs[i]);
    whole += theirs[i] * theirs[i];
  }
  return std::sqrt(difference / whole);
}

// The loss on the stored inputs' shapes, with the gradients of its first output as more outputs.
Graph gradientGraph(const LossCase& loss, const std::vector<std::string>& differentiated,
                    const std::function<void(Graph&)>& change = [](Graph&) {}) {
  Graph graph = loadLoss(loss.path + ".onnx", Graph(opRegistry()), {}).graph;
  change(graph);
  std::vector<Value*> parameters;
  for (Value* input : graph.inputs) {
    input->type.shape = toShape(loss.stored("in:" + input->name()).dims());
    const auto begin = differentiated.begin();
    if (std::find(begin, differentiated.end(), input->name()) != differentiated.end()) {
      parameters.push_back(input);
    }
  }
  bindShapes(graph, {});
  const auto gradients = differentiate(graph, graph.outputs[0].value, parameters);
  for (Value* parameter : parameters) {
    graph.outputs.push_back({"grad64:" + parameter->name(), gradients.at(parameter)});
  }
  foldConstants(graph);
  removeDeadCode(graph);
  return graph;
}

std::vector<Tensor> outputsOf(Graph graph, const LossCase& loss) {
  ThreadPool pool(2);
  Executor executor(std::move(graph), pool);
  std::map<std::string, Tensor> inputs;
  for (const Value* input : executor.graph().inputs) {
    inputs[input->name()] = loss.stored("in:" + input->name());
  }
  for (const auto& [name, tensor] : inputs) executor.setInput(executor.inputIndex(name), tensor);
  executor.compute(0);
  std::vector<Tensor> outputs;
  for (size_t i = 0; i < executor.graph().outputs.size(); ++i) {
    outputs.push_back(executor.outputTensor(i));
  }
  return outputs;
}

// As an exporter erases detach(). Returns the names of what was detached.
std::vector<std::string> eraseStopGradients(Graph& graph) {
  std::vector<std::string> names;
  for (Node* node : graph.nodeSequence()) {
    if (node->op().qualifiedName() != "simaqat::StopGradient") continue;
    names.push_back(node->input(0)->name());
    graph.replaceUses(node->output(), node->input(0));
    graph.removeNode(node);
  }
  return names;
}

}  // namespace

TEST_CASE("stopping gradients by name makes up for detaches that an exporter erased") {
  if (zoo::sharedFolder().empty()) QAT_SKIP("../shared is not here");
  const LossCase loss{zoo::sharedFolder() + "/losses/yolov8"};
  const std::vector<std::string> differentiated = {"p3", "p4", "p5"};
  const std::vector<Tensor> detached = outputsOf(gradientGraph(loss, differentiated), loss);
  const std::vector<Tensor> erased =
      outputsOf(gradientGraph(loss, differentiated, eraseStopGradients), loss);
  const auto put_back = [](Graph& graph) {
    const std::vector<std::string> names = eraseStopGradients(graph);
    CHECK(names.size() == 4);
    for (const std::string& name : names) CHECK(stopGradients(graph, name) == 1);
  };
  const std::vector<Tensor> restored =
      outputsOf(gradientGraph(loss, differentiated, put_back), loss);
  REQUIRE(restored.size() == 7);
  for (size_t i = 0; i < restored.size(); ++i) {
    CHECK(restored[i].identical(detached[i]));
    // The four outputs are values, which no detach changes; the rest gradients.
    CHECK(erased[i].identical(detached[i]) == (i < 4));
  }
}

TEST_CASE("every loss meets PyTorch's values and gradients") {
  if (zoo::sharedFolder().empty()) QAT_SKIP("../shared is not here");
  const std::vector<LossCase> cases = lossCases();
  CHECK(cases.size() >= 8);
  for (const LossCase& loss : cases) {
    INFO(loss.path);
    std::vector<std::string> differentiated;
    std::map<std::string, Tensor> inputs;
    for (const Value* input : loadLoss(loss.path + ".onnx", Graph(opRegistry()), {}).graph.inputs) {
      inputs[input->name()] = loss.stored("in:" + input->name());
      if (hasArray(loss, "grad64:" + input->name())) differentiated.push_back(input->name());
    }
    REQUIRE(!differentiated.empty());
    ThreadPool pool(2);
    Executor executor(gradientGraph(loss, differentiated), pool);
    for (const auto& [name, tensor] : inputs) {
      executor.setInput(executor.inputIndex(name), tensor);
    }
    executor.compute(0);
    for (size_t i = 0; i < executor.graph().outputs.size(); ++i) {
      std::string key = executor.graph().outputs[i].name;
      if (key.rfind("grad64:", 0) != 0) key = "out:" + key;
      INFO(key);
      const double error = relativeError(executor.outputTensor(i), loss.stored(key));
      WARN(std::filesystem::path(loss.path).filename().string() << " " << key << ": " << error);
      CHECK(error <= kTolerance);
    }
  }
}

}  // namespace simaqat
