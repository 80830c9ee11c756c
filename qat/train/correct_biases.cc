#include "qat/train/correct_biases.h"

#include <algorithm>

#include "qat/exec/executor.h"
#include "qat/ir/op.h"
#include "qat/ops/shared/gemm_attributes.h"
#include "qat/passes/fake_quantized.h"
#include "qat/passes/folded_weights.h"
#include "qat/passes/layers.h"
#include "qat/passes/refresh_quantizers.h"
#include "qat/train/step_graph.h"

namespace simaqat {
namespace {

using Means = std::vector<double>;

Node* findNode(const Graph& graph, const std::string& name) {
  const auto& nodes = graph.nodes();
  const auto found = std::find_if(nodes.begin(), nodes.end(),
                                  [&](const auto& node) { return node->name() == name; });
  SIMAQAT_CHECK(found != nodes.end(), "{}", name);
  return found->get();
}

// Where a layer's correction goes.
struct Target {
  Variable* variable = nullptr;
  double factor = 1;  // of the shift of the mean
};

// The variable of a value that one node alone reads: what else reads it must not be moved.
Variable* ownVariable(const Graph& graph, const Value* value) {
  return graph.useCount(value) == 1 ? value->variable : nullptr;
}

Value* biasOf(const Node& node) {
  const int index = node.op().quantization.bias_input;
  return index < 0 ? nullptr : node.input(static_cast<size_t>(index));
}

Target targetOf(const Graph& graph, const Node& node) {
  if (const Node* norm = batchNormBehind(graph, node)) {
    // One module, used twice: a later BatchNormalization goes on from what this one makes of it.
    if (norm->outputCount() > 1 && graph.useCount(norm->output(1)) > 0) return {};
    return {ownVariable(graph, norm->input(3)), 1};
  }
  const Value* bias = biasOf(node);
  if (bias == nullptr || ownVariable(graph, bias) == nullptr) return {};
  if (node.op().qualifiedName() != "Gemm") return {bias->variable, -1};
  const double beta = node.attributes<ops::GemmAttributes>().beta;
  return beta == 0 ? Target{} : Target{bias->variable, -1 / beta};
}

void addMeans(const Tensor& output, bool channels_last, Means& sums) {
  const auto& dims = output.dims();
  const size_t axis = channels_last ? dims.size() - 1 : 1;
  int64_t inner = 1;
  for (size_t k = axis + 1; k < dims.size(); ++k) inner *= dims[k];
  sums.resize(static_cast<size_t>(dims[axis]), 0);
  const double share = static_cast<double>(dims[axis]) / static_cast<double>(output.size());
  for (int64_t i = 0; i < output.size(); ++i) {
    sums[static_cast<size_t>(i / inner % dims[axis])] += share * output.data<float>()[i];
  }
}

}  // namespace

void separateBiases(Graph& model) {
  for (const Layer& layer : layersOf(model)) {
    Node* node = findNode(model, layer.node);
    const Value* bias = biasOf(*node);
    if (bias == nullptr || bias->variable == nullptr || model.useCount(bias) == 1) continue;
    if (batchNormBehind(model, *node) != nullptr) continue;
    const Variable& shared = *bias->variable;
    Variable* own =
        model.addVariable(model.uniqueName(node->name() + "/bias"), shared.role, shared.value);
    own->trainable = shared.trainable;
    node->setInput(static_cast<size_t>(node->op().quantization.bias_input), own->source);
  }
}

int correctBiases(Graph& model, int64_t count,
                  const std::function<std::unique_ptr<BatchLoader>()>& batches,
                  const std::map<std::string, std::vector<int64_t>>& sample_dims, ThreadPool& pool,
                  Execution execution) {
  const std::vector<Layer> layers = layersOf(model);
  // The means of these layers' channels over the batches.
  const auto means = [&](Graph graph, const std::vector<Layer>& of) {
    graph.outputs.clear();
    for (const Layer& layer : of) {
      graph.outputs.push_back({layer.node, findNode(graph, layer.node)->output()});
    }
    std::vector<Means> sums(of.size());
    const std::unique_ptr<BatchLoader> loader = batches();
    std::unique_ptr<Executor> executor;
    for (int64_t i = 0; i < count; ++i) {
      const Batch* batch = loader->next();
      if (executor == nullptr) {
        executor = std::make_unique<Executor>(
            buildInference(graph.clone(), Mode::kEvaluate, batch->samples, sample_dims, execution),
            pool, execution);
      }
      for (size_t k = 0; k < model.inputs.size(); ++k) executor->setInput(k, batch->fields[k]);
      executor->compute(i);
      for (size_t k = 0; k < of.size(); ++k) {
        addMeans(executor->outputTensor(k), of[k].op_type == "MatMul", sums[k]);
      }
    }
    return sums;
  };

  refreshQuantizers(model);
  Graph floats = model.clone();
  bypassQuantizers(floats);
  const std::vector<Means> expected = means(std::move(floats), layers);
  int corrected = 0;
  for (size_t i = 0; i < layers.size(); ++i) {
    const Target target = targetOf(model, *findNode(model, layers[i].node));
    if (target.variable == nullptr) continue;
    const Means found = means(model.clone(), {layers[i]})[0];
    if (target.variable->value.size() != static_cast<int64_t>(found.size())) continue;
    float* values = target.variable->value.mutableData<float>();
    for (size_t c = 0; c < found.size(); ++c) {
      const double shift = (found[c] - expected[i][c]) / static_cast<double>(count);
      values[c] += static_cast<float>(target.factor * shift);
    }
    ++corrected;
  }
  return corrected;
}

}  // namespace simaqat
