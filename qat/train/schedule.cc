#include "qat/train/schedule.h"

#include <algorithm>
#include <cmath>

#include "qat/base/error.h"

namespace simaqat {
namespace {

constexpr double kPi = 3.14159265358979323846;

double halfCosine(double from, double to, double share) {
  return to + (from - to) * (1 + std::cos(kPi * share)) / 2;
}

double oneCycle(double step, double total) {
  constexpr double kStart = 1.0 / 25;
  constexpr double kEnd = kStart / 1e4;
  const double peak = std::max(1.0, 0.3 * total - 1);
  const double last = std::max(peak + 1, total - 1);
  if (step <= peak) return halfCosine(kStart, 1, step / peak);
  return halfCosine(1, kEnd, std::min(1.0, (step - peak) / (last - peak)));
}

}  // namespace

double learningRateFactor(const std::string& schedule, int64_t step, int64_t total,
                          int64_t warmup) {
  if (step < warmup) return static_cast<double>(step + 1) / static_cast<double>(warmup);
  const auto done = static_cast<double>(step - warmup);
  const auto all = static_cast<double>(std::max<int64_t>(1, total - warmup));
  if (schedule == "constant") return 1;
  if (schedule == "step") return done < 0.5 * all ? 1 : done < 0.75 * all ? 0.1 : 0.01;
  if (schedule == "cosine") return halfCosine(1, 0, std::min(1.0, done / all));
  if (schedule == "onecycle") return oneCycle(done, all);
  throw usageError("--schedule {}: expected constant, step, cosine or onecycle", schedule);
}

}  // namespace simaqat
