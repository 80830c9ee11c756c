// Which BatchNormalizations train, and that each has its own state.
#pragma once

#include <string>
#include <vector>

#include "qat/ir/graph.h"

namespace simaqat {

enum class BatchNormPolicy {
  kAuto,    // as the file says; an evaluation export is made a training graph
  kTrain,   // all train
  kFrozen,  // none does
  kAsIs,    // as the file says
};

// Gives each BatchNormalization variables of its own for gamma, beta, mean and variance, where an
// exporter merged equal initializers into one; those share that have all four and the weight in
// front of them in common. Returns how many initializers were copied.
int separateBatchNormState(Graph& graph);

struct BatchNormDecision {
  int training = 0;
  int frozen = 0;
  // Set where a graph of evaluation BatchNormalizations was made a training one.
  bool from_evaluation_export = false;
};

// Sets training_mode by the policy. Training ones get their outputs for the running statistics, and
// the statistics' variables their next values, in graph order where state is shared.
BatchNormDecision decideBatchNorm(Graph& graph, BatchNormPolicy policy);

}  // namespace simaqat
