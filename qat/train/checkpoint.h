// The state of a run, on disk.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "qat/base/tensor.h"

namespace simaqat {

// A hash of the numbers that each array of the data holds, by split and field.
using DataHashes = std::map<std::pair<std::string, std::string>, std::string>;

struct Checkpoint {
  std::string model_hash;
  std::string loss_hash;
  std::string teacher_hash;  // "": none
  std::string manifest_hash;
  std::string options_hash;
  DataHashes data_hashes;
  int64_t step = 0;   // the next one to take
  int64_t epoch = 0;  // its epoch, and its batch in that epoch
  int64_t batch = 0;
  int64_t skipped_steps = 0;
  std::map<std::string, Tensor> variables;
  std::optional<double> best_metric;
  std::map<std::string, Tensor> best_variables;
};

// Written under a temporary name, flushed and renamed.
void writeCheckpoint(const std::string& path, const Checkpoint& checkpoint);

// Input Errors that name the file: not a checkpoint, truncated, damaged (its hash does not fit).
Checkpoint readCheckpoint(const std::string& path);

}  // namespace simaqat
