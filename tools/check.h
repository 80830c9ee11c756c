// `prepare --check`: whether the source is fit for training, as a table or JSON.
#pragma once

#include <string>

#include "qat/train/model.h"

namespace simaqat {

struct CheckCommandOptions {
  std::string manifest;  // "": noise
  std::string split;
  int64_t batch_size = 0;  // 0: a small one
  bool json = false;
};

// Prints the report on standard output. Returns the exit status: 3 where something would fail
// later.
int runCheck(const Model& model, const CheckCommandOptions& options);

}  // namespace simaqat
