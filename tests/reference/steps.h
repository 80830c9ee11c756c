// A training step by the fast path and by the reference, and how far they may be apart.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "qat/exec/executor.h"
#include "qat/ir/graph.h"
#include "qat/train/step_graph.h"

namespace simaqat {

using Tensors = std::map<std::string, Tensor>;

struct Step {
  double loss = 0;
  // By parameter.
  std::map<std::string, std::vector<double>> gradients;
};

// Trains on these inputs: a quantized step as `train` takes it, or one with BatchNormalization and
// observers as they are.
enum class StepKind { kTraining, kFrozen };

// One step of a model with its loss (joinLoss).
Step stepOf(const Graph& joined, StepKind kind, Execution execution, const Tensors& inputs,
            ThreadPool& pool);

// Sets the ranges from the inputs, as `train --calibrate 1` does.
void calibrateOn(Graph& model, const Tensors& inputs, ThreadPool& pool);

// Makes a calibrated model's arithmetic exact in float32, as far as it is sums and products: scales
// become powers of two (by ranges, and by weights' values), and so do the factors of
// BatchNormalization's running statistics.
void makeDyadic(Graph& model);

// A fast step beside the reference's. Gradients by the norm over all parameters together.
struct Comparison {
  double loss = 0, loss_error = 0;
  double norm = 0, gradient_error = 0;
  // What rounding does to the reference itself: the most that it moves by in three draws of it.
  double loss_moves = 0, gradient_moves = 0;

  // Of the reference.
  bool isFinite() const;
  // docs/NUMERICS.md, "The reference".
  bool agrees() const;
  std::string toString() const;
};

// Which numbers the next float takes the place of, to measure what rounding does: the logits that
// the loss takes; or also each bias, gamma and beta, each result of a product, and what
// BatchNormalization and Softmax take. Arithmetic that is exact forward has the first alone.
enum class Rounding { kOfLogits, kOfAll };

Comparison compareWithReference(const Graph& joined, StepKind kind, const Tensors& inputs,
                                Rounding rounding, ThreadPool& pool);

}  // namespace simaqat
