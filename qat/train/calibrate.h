// Calibration: observers look at batches, and nothing else changes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "qat/base/thread_pool.h"
#include "qat/data/batch_loader.h"
#include "qat/exec/executor.h"
#include "qat/ir/graph.h"

namespace simaqat {

// Whether calibration changes anything.
bool hasObservers(const Graph& model);
// Whether a learned scale has not started yet: it does so from a batch.
bool hasUnsetScales(const Graph& model);

// Sets the model's ranges, and the scales that follow, from so many batches, whose fields begin
// with the model's inputs. With `batch_statistics` BatchNormalization normalizes as in training,
// for ranges that fit its first step; else as in evaluation, for a model that ships as it is.
// False, and the model as it was, where `stops` said so.
bool calibrate(Graph& model, int64_t batches, bool batch_statistics, BatchLoader& loader,
               const std::map<std::string, std::vector<int64_t>>& sample_dims,
               const std::function<bool()>& stops, ThreadPool& pool,
               Execution execution = Execution::kFast);

}  // namespace simaqat
