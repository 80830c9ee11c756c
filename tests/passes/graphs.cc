#include "tests/passes/graphs.h"

#include <sstream>

#include "qat/autodiff/differentiate.h"
#include "qat/base/random.h"
#include "qat/exec/executor.h"
#include "qat/ir/parser.h"
#include "qat/ir/verifier.h"
#include "qat/passes/fuse_pointwise.h"
#include "qat/passes/refresh_quantizers.h"
#include "qat/passes/simplify.h"
#include "qat/train/model.h"
#include "qat/train/step_graph.h"

namespace simaqat {
namespace {

constexpr int64_t kBatch = 4;

Graph bound(Graph graph) {
  std::map<std::string, int64_t> symbols;
  for (const Value* input : graph.inputs) {
    for (const Dim& dim : *input->type.shape) {
      if (!dim.known()) symbols[dim.symbol] = kBatch;
    }
  }
  bindShapes(graph, symbols);
  verify(graph, "binding shapes");
  return graph;
}

void compute(Executor& executor, const std::vector<Tensor>& inputs) {
  for (size_t i = 0; i < inputs.size(); ++i) executor.setInput(i, inputs[i]);
  executor.compute(0);
}

}  // namespace

Graph parse(const std::string& text) {
  Graph graph = parseText(text, opRegistry());
  verify(graph, "parsing");
  return graph;
}

std::string unindented(const std::string& text) {
  std::istringstream lines(text);
  std::string result;
  for (std::string line; std::getline(lines, line);) {
    const size_t begin = line.find_first_not_of(' ');
    if (begin != std::string::npos) result += line.substr(begin) + "\n";
  }
  return result;
}

std::string linesWith(const Graph& graph, const std::string& word) {
  verify(graph, "the test");
  std::istringstream lines(toText(graph));
  std::string result;
  for (std::string line; std::getline(lines, line);) {
    if (line.find(word) != std::string::npos) result += line + "\n";
  }
  return result;
}

size_t countNodes(const Graph& graph, const std::string& op_type) {
  return static_cast<size_t>(
      std::count_if(graph.nodes().begin(), graph.nodes().end(),
                    [&](const auto& node) { return node->op().qualifiedName() == op_type; }));
}

const Node& producerOf(const Graph& graph, std::string_view name) {
  const Value* value = graph.findValue(std::string(name));
  SIMAQAT_CHECK(value != nullptr && value->producer() != nullptr, "{}\n{}", name, toText(graph));
  return *value->producer();
}

Tensor randomTensor(const std::vector<int64_t>& dims, uint64_t seed) {
  Tensor tensor(ElementType::kFloat, dims);
  const RandomStream stream(seed, randomPurpose("test"), 0);
  for (int64_t i = 0; i < tensor.size(); ++i) {
    tensor.mutableData<float>()[i] = stream.normal(static_cast<uint64_t>(i));
  }
  return tensor;
}

void randomizeVariables(Graph& graph, uint64_t seed) {
  for (const auto& variable : graph.variables()) {
    const bool statistic = variable->role == VariableRole::kBatchNormStatistic;
    if (variable->role != VariableRole::kWeight && !statistic) continue;
    variable->value = randomTensor(variable->value.dims(), ++seed);
    if (!statistic || variable->name.find("var") == std::string::npos) continue;
    float* data = variable->value.mutableData<float>();
    for (int64_t i = 0; i < variable->value.size(); ++i) data[i] = 0.1f + data[i] * data[i];
  }
}

std::vector<Tensor> run(const Graph& graph, const std::vector<Tensor>& inputs) {
  ThreadPool pool(1);
  Executor executor(bound(graph.clone()), pool);
  compute(executor, inputs);
  std::vector<Tensor> outputs;
  for (size_t i = 0; i < graph.outputs.size(); ++i) outputs.push_back(executor.outputTensor(i));
  return outputs;
}

std::vector<Tensor> gradients(const Graph& graph, const std::vector<Tensor>& inputs, bool fused) {
  Graph sum = bound(sumOfOutputs(graph));
  const std::vector<Value*> parameters = sum.inputs;
  const auto found = differentiate(sum, sum.outputs[0].value, parameters);
  sum.outputs.clear();
  std::vector<size_t> reached;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (found.count(parameters[i]) == 0) continue;
    sum.outputs.push_back({parameters[i]->name() + "/gradient", found.at(parameters[i])});
    reached.push_back(i);
  }
  removeDeadCode(sum);
  if (fused) fusePointwise(sum);
  const std::vector<Tensor> outputs = run(sum, inputs);
  std::vector<Tensor> result(parameters.size());
  for (size_t k = 0; k < reached.size(); ++k) result[reached[k]] = outputs[k];
  return result;
}

QuantizationOverride quantized(const std::string& op_type, const std::string& node,
                               bool quantize) {
  QuantizationOverride result{op_type, node, {}, {}};
  result.activation.quantize = result.weight.quantize = quantize;
  return result;
}

void calibrate(Graph& graph, const std::vector<Tensor>& inputs) {
  Graph copy = graph.clone();
  specialize(copy, Specialization{Mode::kCalibrate, true});
  ThreadPool pool(1);
  Executor executor(bound(std::move(copy)), pool);
  compute(executor, inputs);
  executor.commit();
  executor.writeBack(graph);
  refreshQuantizers(graph);
}

Graph evaluationOf(const Graph& graph) {
  Graph copy = graph.clone();
  specialize(copy, Specialization{Mode::kEvaluate});
  verify(copy, "specialize");
  return copy;
}

}  // namespace simaqat
