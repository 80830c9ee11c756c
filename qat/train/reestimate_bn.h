// BatchNormalization's running statistics, estimated anew once the weights are done.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "qat/base/thread_pool.h"
#include "qat/data/batch_loader.h"
#include "qat/exec/executor.h"
#include "qat/ir/graph.h"

namespace simaqat {

bool hasTrainingBatchNorm(const Graph& model);

// Gives the running statistics of every BatchNormalization that trains the means of its batches'
// statistics over so many batches, with all else as in evaluation: quantizers at their stored
// scales, Dropout gone. The loader's fields begin with the model's inputs.
void reestimateBatchNorm(Graph& model, int64_t batches, BatchLoader& loader, int64_t batch_size,
                         const std::map<std::string, std::vector<int64_t>>& sample_dims,
                         bool unbiased_running_var, ThreadPool& pool,
                         Execution execution = Execution::kFast);

}  // namespace simaqat
