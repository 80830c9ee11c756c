// What a model of any stage makes of a split of the data, written to files.
#pragma once

#include <string>
#include <vector>

#include "qat/base/thread_pool.h"
#include "qat/data/manifest.h"
#include "qat/exec/executor.h"
#include "qat/ir/graph.h"

namespace simaqat {

struct PredictOptions {
  std::string split = "test";
  std::vector<std::string> values;  // besides the outputs
  std::string output;               // array_writer.h
  int64_t batch_size = 0;           // 0: the model's own where it is fixed, else 64
  Execution execution = Execution::kFast;
};

// Writes the outputs, and then the values, of all samples in the data's order, as evaluation
// computes them; returns how many samples there were. What does not depend on the data is written
// once. An Error names a value that is not there, or that has no rows for the samples.
int64_t predict(const Graph& model, const Manifest& manifest, const PredictOptions& options,
                ThreadPool& pool);

}  // namespace simaqat
