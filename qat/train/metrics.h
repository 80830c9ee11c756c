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

// What the outputs of a loss are called in metrics: the first "loss", the others by their names,
// with "loss/" in front where the metrics have that name for something else.
std::vector<std::string> lossNames(const Graph& loss);

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
  void open(const char* mode);
  void line(const std::string& text);
  std::FILE* file_ = nullptr;
  std::string path_;
};

}  // namespace simaqat
