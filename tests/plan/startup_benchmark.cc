// What happens ahead of the first step of a network of so many layers, Conv, BatchNormalization and
// Relu each: the time should grow with their number, not with its square.
#include <benchmark/benchmark.h>

#include "qat/exec/executor.h"
#include "qat/ops/registry.h"
#include "qat/ops/shared/batch_norm_attributes.h"
#include "qat/passes/canonicalize.h"
#include "qat/passes/refresh_quantizers.h"
#include "qat/passes/scaffold.h"
#include "qat/train/step_graph.h"

namespace simaqat {
namespace {

constexpr int64_t kChannels = 4;

Graph chain(int64_t layers) {
  Graph graph(opRegistry());
  const Shape image = {Dim(), kChannels, 8, 8};
  Value* x = graph.addInput("x", {ElementType::kFloat, image});
  const auto parameter = [&](const std::string& name, VariableRole role,
                             const std::vector<int64_t>& dims, float first) {
    Tensor tensor(ElementType::kFloat, dims);
    for (int64_t i = 0; i < tensor.size(); ++i) {
      tensor.mutableData<float>()[i] = first + 0.01f * static_cast<float>(i % 7);
    }
    Variable* variable = graph.addVariable(name, role, std::move(tensor));
    variable->trainable = role == VariableRole::kWeight;
    return variable->source;
  };
  for (int64_t i = 0; i < layers; ++i) {
    const std::string name = "layer" + std::to_string(i);
    const auto statistic = VariableRole::kBatchNormStatistic;
    Value* weight =
        parameter(name + ".w", VariableRole::kWeight, {kChannels, kChannels, 1, 1}, 0.1f);
    std::vector<Value*> inputs = {graph.add("Conv", name + "/conv", {x, weight}),
                                  parameter(name + ".gamma", VariableRole::kWeight, {kChannels}, 1),
                                  parameter(name + ".beta", VariableRole::kWeight, {kChannels}, 0),
                                  parameter(name + ".mean", statistic, {kChannels}, 0),
                                  parameter(name + ".var", statistic, {kChannels}, 1)};
    ops::BatchNormAttributes attributes;
    attributes.training_mode = true;
    x = graph.add("BatchNormalization", name + "/bn", inputs, attributes);
    x = graph.add("Relu", name + "/relu", {x});
  }
  graph.outputs = {{"y", graph.add("GlobalAveragePool", "pool", {x})}};
  return graph;
}

void prepareAndBuild(Graph graph, bool quantizes, ThreadPool& pool) {
  canonicalize(graph, BatchNormPolicy::kAuto);
  if (quantizes) {
    scaffold(graph, {});
    refreshQuantizers(graph);
  }
  Graph step = buildTrainingStep(sumOfOutputs(graph), {Mode::kTrain}, {}, 2, {});
  StepMemory memory = fitMemory(step, 0, pool.threads());
  Executor executor(std::move(step), pool, Execution::kFast, std::move(memory.plan));
  benchmark::DoNotOptimize(executor.plan().arena_bytes);
}

void startUp(benchmark::State& state) {
  ThreadPool pool(1);
  const Graph graph = chain(state.range(0));
  for (auto _ : state) prepareAndBuild(graph.clone(), state.range(1) != 0, pool);
  state.SetComplexityN(state.range(0));
}
BENCHMARK(startUp)
    ->ArgNames({"layers", "quantized"})
    ->ArgsProduct({{100, 400, 1500}, {0, 1}})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace simaqat
