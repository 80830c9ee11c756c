// A whole training run, from files to a file.
#pragma once

#include <atomic>
#include <string>

#include "qat/train/options.h"

namespace simaqat {

// Set by a signal handler to the signal's number: the run ends after the step it is in.
extern std::atomic<int> interruptSignal;

struct TrainResult {
  int64_t steps = 0;
  double last_loss = 0;
  int64_t skipped_steps = 0;
  // The signal that ended the run before its time, 0 for none; then nothing was written but the
  // checkpoint.
  int signal = 0;
  std::string checkpoint;
};

// Trains options.model on options.manifest and writes options.output. Errors as documented at each
// part; a loss or gradient that is not finite ends the run naming the first node that made one.
TrainResult train(const TrainOptions& options);

}  // namespace simaqat
