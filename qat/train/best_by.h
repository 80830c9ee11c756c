// By which figure of an evaluation the best state is told.
#pragma once

#include <string>
#include <vector>

#include "qat/train/evaluate.h"

namespace simaqat {

struct BestBy {
  std::string name;  // a metric's name, as Evaluator::metricNames gives them
  bool max = false;

  // "NAME:min" or "NAME:max"; a usage Error where it is neither, or NAME is not among `metrics`.
  static BestBy parse(const std::string& text, const std::vector<std::string>& metrics);

  double of(const EvalResult& result) const;
  bool better(double a, double b) const { return max ? a > b : a < b; }
};

}  // namespace simaqat
