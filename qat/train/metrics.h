// The metrics file: one JSON object a line.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "qat/train/evaluate.h"

namespace simaqat {

// {"split": ..., "samples": ..., "loss": ..., "top1": ...}
std::string toJson(const EvalResult& result);

class MetricsFile {
 public:
  // "" writes nothing. A run that goes on at `first_step` keeps the lines of the steps before it.
  MetricsFile(const std::string& path, int64_t first_step);
  ~MetricsFile();
  MetricsFile(const MetricsFile&) = delete;
  MetricsFile& operator=(const MetricsFile&) = delete;

  void step(int64_t step, int64_t epoch, const std::vector<std::pair<std::string, double>>& values);
  void evaluation(int64_t step, int64_t epoch, const EvalResult& result);
  // The quantizers' ranges after the step, by value.
  void ranges(int64_t step, int64_t epoch,
              const std::vector<std::pair<std::string, std::pair<float, float>>>& ranges);

 private:
  void line(const std::string& text);
  std::FILE* file_ = nullptr;
  std::string path_;
};

}  // namespace simaqat
