// What a training run is told.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "qat/exec/executor.h"
#include "qat/optim/moment.h"
#include "qat/optim/optimizer.h"
#include "qat/optim/schedule.h"

namespace simaqat {

struct TrainOptions {
  std::string model;
  std::string loss;
  std::string manifest;
  std::string output;
  std::string split = "train";
  std::vector<std::string> binds;
  std::string teacher;  // "": none
  float distill_weight = 0;
  float distill_temperature = 1;

  int64_t epochs = 1;
  int64_t steps = -1;  // -1: epochs count
  int64_t batch_size = 32;
  OptimizerOptions optimizer;
  LearningRateSchedule schedule;
  std::vector<std::string> train_patterns;
  std::vector<std::string> freeze_patterns;
  std::vector<std::string> stop_gradients;  // patterns of values' names
  Moment quantize_after;
  Moment freeze_bn_after = Moment::never();
  Moment freeze_observers_after = Moment::never();
  int64_t reestimate_bn = 0;  // batches; 0: the running statistics are those of training
  bool unbiased_running_var = false;
  bool skip_nonfinite = false;  // else stop
  bool random_init = false;
  int64_t calibrate = 0;       // batches
  int64_t correct_biases = 0;  // batches a layer; 0: none
  uint64_t seed = 0;
  // Called once with the table of what trains (parameterTable), before the first step.
  std::function<void(const std::vector<std::vector<std::string>>&)> show_parameters;
  int threads = 0;  // 0: as many as there are processors
  bool bfloat16_gradients = false;
  Execution execution = Execution::kFast;
  int64_t memory_limit = 0;  // bytes of a step's values, weights and state; 0: none

  std::string eval_split;  // "": validation, val or test, whichever there is
  int64_t eval_every = 0;  // epochs; 0: never
  bool keep_best = false;
  std::string best_by;  // NAME:min or NAME:max
  std::string metrics;
  int64_t log_ranges = 0;  // steps between ranges in the metrics; 0: none

  std::string checkpoint;
  int64_t checkpoint_every = 0;  // steps; 0: only when interrupted
  std::string resume;
  bool progress_bar = false;
};

// All that decides what the run computes, one "name=value" a line; a checkpoint carries its hash.
// Threads, file names of results and how progress is shown do not count.
std::string describeOptions(const TrainOptions& options);

}  // namespace simaqat
