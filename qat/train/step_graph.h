// Builds the graph of one step: specialized, bound, differentiated, with the update.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "qat/exec/executor.h"
#include "qat/ir/graph.h"
#include "qat/ir/op.h"
#include "qat/optim/optimizer.h"
#include "qat/plan/recompute.h"

namespace simaqat {

// Gives every input its static type: dimension 0 is `batch` where it is symbolic, the others come
// from `sample_dims` (of one sample, by input name). An Error where a fixed dimension disagrees.
void bindInputs(Graph& graph, int64_t batch,
                const std::map<std::string, std::vector<int64_t>>& sample_dims);

// What a training step's graph is made for.
struct StepMode {
  Specialization specialization;
  bool quantizes = true;            // else observers look on, and values stay float
  bool bfloat16_gradients = false;  // qat/passes/bfloat16_gradients.h
  Execution execution = Execution::kFast;
};

// From the joined model and loss: outputs are the loss' outputs (scalars) and then the gradients'
// norm; a last input is the learning rate.
Graph buildTrainingStep(Graph joined, const StepMode& mode, const OptimizerOptions& options,
                        int64_t batch,
                        const std::map<std::string, std::vector<int64_t>>& sample_dims);

// What a step takes: variables' values, and what is planned for everything else.
struct StepMemory {
  int64_t state = 0;
  Plan plan;
  Recomputation recomputed;

  // "76.0 MiB planned for values, 5.1 MiB for weights and state", and what is computed again.
  std::string toString() const;
};
// Recomputes until both take no more than `limit` bytes (qat/plan/recompute.h); 0: none.
StepMemory fitMemory(Graph& step, int64_t limit, int threads,
                     Execution execution = Execution::kFast);

// The model alone in another mode. With `batch_statistics` BatchNormalizations that train normalize
// by the batch in calibration, too.
Graph buildInference(Graph graph, Mode mode, int64_t batch,
                     const std::map<std::string, std::vector<int64_t>>& sample_dims,
                     Execution execution = Execution::kFast, bool batch_statistics = false);

// A loss for when there is none: the sum of all float outputs. For planning and for timing.
Graph sumOfOutputs(const Graph& model);

}  // namespace simaqat
