// Losses as exporters write them: values and gradients against PyTorch in float64.
#include <cmath>

#include "qat/autodiff/differentiate.h"
#include "qat/exec/executor.h"
#include "qat/ops/registry.h"
#include "qat/passes/simplify.h"
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
Graph gradientGraph(const LossCase& loss, const std::vector<std::string>& differentiated) {
  Graph graph = loadLoss(loss.path + ".onnx", Graph(opRegistry()), {}).graph;
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

}  // namespace

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
