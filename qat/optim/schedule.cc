#include "qat/optim/schedule.h"

#include <algorithm>
#include <cmath>

#include "qat/base/error.h"
#include "qat/base/text.h"

namespace simaqat {
namespace {

constexpr double kPi = 3.14159265358979323846;

double halfCosine(double from, double to, double share) {
  return to + (from - to) * (1 + std::cos(kPi * share)) / 2;
}

// The steps after warmup.
struct Progress {
  Progress(const LearningRateSchedule& schedule, const RunPosition& position)
      : done(static_cast<double>(position.step - schedule.warmup)),
        all(static_cast<double>(std::max<int64_t>(1, position.total - schedule.warmup))) {}
  double share() const { return std::min(1.0, done / all); }

  double done, all;
};

double constant(const LearningRateSchedule&, const RunPosition&) { return 1; }

double step(const LearningRateSchedule& schedule, const RunPosition& position) {
  const Progress progress(schedule, position);
  if (progress.done < 0.5 * progress.all) return 1;
  return progress.done < 0.75 * progress.all ? 0.1 : 0.01;
}

double multistep(const LearningRateSchedule& schedule, const RunPosition& position) {
  const auto reached = std::count_if(
      schedule.milestones.begin(), schedule.milestones.end(), [&](const Moment& milestone) {
        return milestone.hasCome(position.step, position.steps_per_epoch);
      });
  return std::pow(schedule.gamma, static_cast<double>(reached));
}

double exponential(const LearningRateSchedule& schedule, const RunPosition& position) {
  const int64_t epochs = (position.step - schedule.warmup) / position.steps_per_epoch;
  return std::max(std::pow(schedule.gamma, static_cast<double>(epochs)),
                  schedule.final_factor.value_or(0));
}

double polynomial(const LearningRateSchedule& schedule, const RunPosition& position) {
  const double last = schedule.final_factor.value_or(0);
  const double left = 1 - Progress(schedule, position).share();
  return last + (1 - last) * std::pow(left, schedule.power);
}

double cosine(const LearningRateSchedule& schedule, const RunPosition& position) {
  return halfCosine(1, schedule.final_factor.value_or(0), Progress(schedule, position).share());
}

double cosineRestarts(const LearningRateSchedule& schedule, const RunPosition& position) {
  auto period = static_cast<double>(*schedule.period.firstStep(position.steps_per_epoch));
  double done = Progress(schedule, position).done;
  while (done >= period) {
    done -= period;
    period *= schedule.period_factor;
  }
  return halfCosine(1, schedule.final_factor.value_or(0), done / period);
}

double oneCycle(const LearningRateSchedule& schedule, const RunPosition& position) {
  constexpr double kStart = 1.0 / 25;
  const double end = schedule.final_factor.value_or(kStart / 1e4);
  const Progress progress(schedule, position);
  const double peak = std::max(1.0, 0.3 * progress.all - 1);
  const double last = std::max(peak + 1, progress.all - 1);
  if (progress.done <= peak) return halfCosine(kStart, 1, progress.done / peak);
  return halfCosine(1, end, std::min(1.0, (progress.done - peak) / (last - peak)));
}

struct NamedSchedule {
  const char* name;
  double (*factor)(const LearningRateSchedule&, const RunPosition&);
};

constexpr NamedSchedule kSchedules[] = {
    {"constant", constant},
    {"step", step},
    {"multistep", multistep},
    {"exponential", exponential},
    {"polynomial", polynomial},
    {"cosine", cosine},
    {"cosine_restarts", cosineRestarts},
    {"onecycle", oneCycle},
};

const NamedSchedule& named(const std::string& name) {
  for (const NamedSchedule& schedule : kSchedules) {
    if (name == schedule.name) return schedule;
  }
  throw usageError("--schedule {}: expected one of {}", name, joined(scheduleNames()));
}

}  // namespace

std::vector<std::string> scheduleNames() {
  std::vector<std::string> names;
  for (const NamedSchedule& schedule : kSchedules) names.emplace_back(schedule.name);
  return names;
}

double learningRateFactor(const LearningRateSchedule& schedule, const RunPosition& position) {
  if (position.step < schedule.warmup) {
    return static_cast<double>(position.step + 1) / static_cast<double>(schedule.warmup);
  }
  return named(schedule.name).factor(schedule, position);
}

void checkSchedule(const LearningRateSchedule& schedule) {
  named(schedule.name);
  const bool has_milestones = !schedule.milestones.empty();
  if (has_milestones != (schedule.name == "multistep")) {
    throw usageError("--schedule {}: {}", schedule.name,
                     has_milestones ? "has no --milestones (multistep has)" : "needs --milestones");
  }
  const bool has_period = schedule.period.count > 0;
  if (has_period != (schedule.name == "cosine_restarts")) {
    throw usageError("--schedule {}: {}", schedule.name,
                     has_period ? "has no --period (cosine_restarts has)" : "needs --period");
  }
}

}  // namespace simaqat
