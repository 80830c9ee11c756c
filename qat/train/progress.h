// How a long run shows where it is: a bar on a terminal, plain lines otherwise.
#pragma once

#include <chrono>
#include <cstdint>

namespace simaqat {

class Progress {
 public:
  Progress(bool bar, int64_t total_steps, int64_t first_step, int64_t batch_size);
  // After each step.
  void step(int64_t epoch, int64_t step, double loss, double learning_rate);
  // Ends the bar's line, before other messages and at the end.
  void endLine();

 private:
  using Clock = std::chrono::steady_clock;
  const bool bar_;
  const int64_t total_;
  const int64_t first_;
  const int64_t batch_size_;
  const Clock::time_point start_;
  Clock::time_point shown_;
  bool open_line_ = false;
};

}  // namespace simaqat
