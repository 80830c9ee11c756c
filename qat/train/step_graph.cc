#include "qat/train/step_graph.h"

#include <algorithm>
#include <unordered_set>

#include "qat/autodiff/differentiate.h"
#include "qat/base/text.h"
#include "qat/passes/bfloat16_gradients.h"
#include "qat/passes/conv_gradients.h"
#include "qat/passes/epilogues.h"
#include "qat/passes/fake_quantized.h"
#include "qat/passes/finalize_weights.h"
#include "qat/passes/fuse_pointwise.h"
#include "qat/passes/integer_products.h"
#include "qat/passes/open_batch.h"
#include "qat/passes/pass.h"
#include "qat/passes/passed_ranges.h"
#include "qat/passes/quantized_pairs.h"
#include "qat/passes/saturation_masks.h"
#include "qat/passes/simplify.h"
#include "qat/passes/split_batch_norms.h"
#include "qat/passes/store_codes.h"
#include "qat/plan/plan.h"
#include "qat/train/averages.h"

namespace simaqat {
namespace {

std::vector<std::pair<Variable*, Value*>> gradientsOf(Graph& graph) {
  for (const GraphOutput& output : graph.outputs) {
    if (output.value->type.element != ElementType::kFloat || output.value->type.size() != 1) {
      throw inputError("loss output '{}': expected a float scalar, got {}", output.name,
                       typeToString(output.value->type));
    }
  }
  std::vector<Value*> parameters;
  for (const auto& variable : graph.variables()) {
    if (variable->trainable) parameters.push_back(variable->source);
  }
  const auto gradients = differentiate(graph, graph.outputs.front().value, parameters);
  std::vector<std::pair<Variable*, Value*>> found;
  for (Value* parameter : parameters) {
    const auto gradient = gradients.find(parameter);
    if (gradient != gradients.end()) found.emplace_back(parameter->variable, gradient->second);
  }
  return found;
}

}  // namespace

void bindInputs(Graph& graph, int64_t batch,
                const std::map<std::string, std::vector<int64_t>>& sample_dims) {
  bool batch_is_fixed = false;
  for (Value* input : graph.inputs) {
    const auto dims = sample_dims.find(input->name());
    if (!input->type.shape) {
      if (dims == sample_dims.end()) continue;
      Shape shape = toShape(dims->second);
      shape.insert(shape.begin(), Dim());
      input->type.shape = shape;
    }
    Shape& shape = *input->type.shape;
    if (shape.empty()) continue;
    if (!shape[0].known()) {
      shape[0] = batch;
    } else if (shape[0].value != batch) {
      batch_is_fixed = true;
    }
    if (dims == sample_dims.end()) continue;
    if (dims->second.size() + 1 != shape.size()) {
      throw inputError("input '{}': expected {}, the data has samples of {}", input->name(),
                       typeToString(input->type), shapeToString(toShape(dims->second)));
    }
    for (size_t k = 1; k < shape.size(); ++k) {
      if (!shape[k].known()) shape[k] = dims->second[k - 1];
    }
  }
  if (batch_is_fixed) runPass(graph, "open-batch", [&](Graph& g) { openBatch(g, batch); });
}

Graph buildTrainingStep(Graph graph, const StepMode& mode, const OptimizerOptions& options,
                        int64_t batch,
                        const std::map<std::string, std::vector<int64_t>>& sample_dims) {
  const auto settings = parameterSettings(graph, options);
  runPass(graph, "specialize", [&](Graph& g) { specialize(g, mode.specialization); });
  if (!mode.quantizes) {
    runPass(graph, "bypass-quantizers", [](Graph& g) { bypassQuantizers(g); });
  }
  bindInputs(graph, batch, sample_dims);
  runPass(graph, "bind-shapes", [](Graph& g) { bindShapes(g, {}); });
  const std::vector<Node*> nodes = graph.nodeSequence();
  const std::unordered_set<const Node*> forward(nodes.begin(), nodes.end());
  runPass(graph, "differentiate", [&](Graph& g) {
    const auto gradients = gradientsOf(g);
    if (gradients.empty()) {
      throw inputError("nothing trains: no gradient of the loss reaches a trainable weight");
    }
    addUpdates(g, gradients, settings, options);
    if (options.average_decay > 0) addAverages(g, options.average_decay);
  });
  if (mode.bfloat16_gradients) {
    runPass(graph, "bfloat16-gradients", [&](Graph& g) { useBfloat16Gradients(g, forward); });
  }
  runPass(graph, "fold-constants", foldConstants);
  if (mode.execution == Execution::kReference) {
    runPass(graph, "dead-code", removeDeadCode);
    return graph;
  }
  runPass(graph, "store-codes", storeCodes);
  runPass(graph, "integer-products", useIntegerProducts);
  runPass(graph, "split-batch-norms", splitBatchNorms);
  runPass(graph, "passed-ranges", usePassedRanges);
  // What passed-ranges leaves still seems to use what epilogues would take over.
  runPass(graph, "dead-code", removeDeadCode);
  runPass(graph, "epilogues", useEpilogues);
  runPass(graph, "conv-gradients", joinConvGradients);
  runPass(graph, "dead-code", removeDeadCode);
  runPass(graph, "saturation-masks", keepSaturationMasks);
  runPass(graph, "fuse-pointwise", fusePointwise);
  runPass(graph, "dead-code", removeDeadCode);
  return graph;
}

std::string StepMemory::toString() const {
  std::string text = fmt::format("{} planned for values, {} for weights and state",
                                 readableBytes(plan.arena_bytes), readableBytes(state));
  if (recomputed.nodes > 0) {
    text += fmt::format("; {} nodes run twice, {:.1f}% more operations", recomputed.nodes,
                        100 * recomputed.operations / recomputed.all_operations);
  }
  return text;
}

StepMemory fitMemory(Graph& step, int64_t limit, int threads, Execution execution) {
  StepMemory memory;
  for (const auto& variable : step.variables()) {
    memory.state += static_cast<int64_t>(variable->value.bytes());
  }
  if (limit > 0) {
    try {
      runPass(step, "recompute", [&](Graph& g) {
        memory.recomputed = recomputeWithin(g, limit - memory.state, threads);
      });
    } catch (const Error& error) {
      throw Error(error.kind(), fmt::format("--memory-limit {}: weights and state take {}; {}",
                                            limit, memory.state, error.what()));
    }
  }
  memory.plan = planFor(step, threads, execution);
  return memory;
}

Graph buildInference(Graph graph, Mode mode, int64_t batch,
                     const std::map<std::string, std::vector<int64_t>>& sample_dims,
                     Execution execution, bool batch_statistics) {
  Specialization specialization;
  specialization.mode = mode;
  specialization.freeze_batch_norm = !batch_statistics;
  runPass(graph, "specialize", [&](Graph& g) { specialize(g, specialization); });
  bindInputs(graph, batch, sample_dims);
  if (mode == Mode::kEvaluate) {
    // The numbers that ship: BatchNormalization folded, biases rounded.
    runPass(graph, "lower-weights", lowerWeights);
    runPass(graph, "lower-batch-norms", lowerBatchNorms);
  }
  if (execution == Execution::kReference) {
    runPass(graph, "bind-shapes", [](Graph& g) { bindShapes(g, {}); });
    runPass(graph, "dead-code", removeDeadCode);
    return graph;
  }
  runPass(graph, "pairs-to-fake-quantize", pairsToFakeQuantize);
  // In front of bind-shapes, which folds the weights' quantizers away.
  runPass(graph, "store-codes", storeCodes);
  runPass(graph, "integer-products", useIntegerProducts);
  runPass(graph, "bind-shapes", [](Graph& g) { bindShapes(g, {}); });
  runPass(graph, "dead-code", removeDeadCode);
  runPass(graph, "epilogues", useEpilogues);
  runPass(graph, "fuse-pointwise", fusePointwise);
  runPass(graph, "dead-code", removeDeadCode);
  return graph;
}

Graph sumOfOutputs(const Graph& model) {
  Graph graph = model.clone();
  Value* shape = graph.addConstant("simaqat/scalar", Tensor(ElementType::kInt64, {0}));
  std::vector<Value*> sums;
  for (const GraphOutput& output : graph.outputs) {
    if (output.value->type.element != ElementType::kFloat) continue;
    Value* sum = graph.add("ReduceSum", "simaqat/sum", {output.value});
    sums.push_back(graph.add("Reshape", "simaqat/sum", {sum, shape}));
  }
  if (sums.empty()) throw inputError("the model has no float output");
  graph.outputs = {{"loss", graph.add("Sum", "simaqat/loss", sums)}};
  return graph;
}

}  // namespace simaqat
