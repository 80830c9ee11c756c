#include "qat/train/reestimate_bn.h"

#include <algorithm>
#include <functional>

#include "qat/base/log.h"
#include "qat/exec/executor.h"
#include "qat/ir/op.h"
#include "qat/ops/shared/batch_norm_attributes.h"
#include "qat/passes/integer_products.h"
#include "qat/passes/pass.h"
#include "qat/passes/simplify.h"
#include "qat/train/step_graph.h"

namespace simaqat {
namespace {

bool trains(const Node& node) {
  return node.op().qualifiedName() == "BatchNormalization" &&
         node.attributes<ops::BatchNormAttributes>().training_mode;
}

// The variable that holds a statistic, which goes through all nodes that share it.
std::string variableOf(const Value* statistic) {
  while (statistic->variable == nullptr) {
    const Node* before = statistic->producer();
    SIMAQAT_CHECK(before != nullptr && statistic->outputIndex() > 0, "{}", statistic->name());
    statistic = before->input(statistic->outputIndex() + 2);
  }
  return statistic->variable->name;
}

// Evaluation, but with batches' statistics, which are its outputs, named by their variables.
Graph statisticsGraph(const Graph& model, bool unbiased_running_var) {
  Graph graph = model.clone();
  graph.outputs.clear();
  for (const auto& node : graph.nodes()) {
    if (!trains(*node)) continue;
    // What is new of the running statistics is then the batch's: 0 times what they were, which may
    // be NaN, is added.
    node->mutableAttributes<ops::BatchNormAttributes>().momentum = 0;
    for (size_t i = 1; i < 3; ++i) {
      const std::string name = variableOf(node->input(i + 2));
      Tensor& before = graph.findVariable(name)->value;
      before = Tensor(before.type(), before.dims());
      graph.outputs.push_back({name, node->output(i)});
    }
  }
  Specialization training;
  training.mode = Mode::kTrain;
  training.unbiased_running_var = unbiased_running_var;
  for (Node* node : graph.nodeSequence()) {
    if (trains(*node)) node->op().specialize(graph, *node, training);
  }
  specialize(graph, {});
  return graph;
}

}  // namespace

bool hasTrainingBatchNorm(const Graph& model) {
  return std::any_of(model.nodes().begin(), model.nodes().end(),
                     [](const auto& node) { return trains(*node); });
}

void reestimateBatchNorm(Graph& model, int64_t batches, BatchLoader& loader, int64_t batch_size,
                         const std::map<std::string, std::vector<int64_t>>& sample_dims,
                         bool unbiased_running_var, ThreadPool& pool, Execution execution) {
  Graph graph = statisticsGraph(model, unbiased_running_var);
  bindInputs(graph, batch_size, sample_dims);
  if (execution == Execution::kFast) runPass(graph, "integer-products", useIntegerProducts);
  runPass(graph, "bind-shapes", [](Graph& g) { bindShapes(g, {}); });
  runPass(graph, "dead-code", removeDeadCode);
  Executor executor(std::move(graph), pool, execution);

  std::map<std::string, std::vector<double>> sums;
  std::map<std::string, double> counts;
  for (int64_t i = 0; i < batches; ++i) {
    const Batch* batch = loader.next();
    for (size_t k = 0; k < model.inputs.size(); ++k) {
      executor.setInput(k, batch->fields[k]);
    }
    executor.compute(i);
    for (size_t k = 0; k < executor.graph().outputs.size(); ++k) {
      const std::string& name = executor.graph().outputs[k].name;
      const std::vector<double> values = executor.outputTensor(k).toVector<double>();
      std::vector<double>& sum = sums[name];
      sum.resize(values.size(), 0);
      std::transform(values.begin(), values.end(), sum.begin(), sum.begin(), std::plus<>());
      counts[name] += 1;
    }
  }
  for (const auto& [name, sum] : sums) {
    float* statistic = model.findVariable(name)->value.mutableData<float>();
    for (size_t c = 0; c < sum.size(); ++c)
      statistic[c] = static_cast<float>(sum[c] / counts[name]);
  }
  logInfo("BatchNormalization's statistics estimated on {} batches of {}", batches, batch_size);
}

}  // namespace simaqat
