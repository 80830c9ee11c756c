// Learning-rate schedules: pure functions of the step.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "qat/optim/moment.h"

namespace simaqat {

// A name of scheduleNames(), and what its formula reads.
struct LearningRateSchedule {
  std::string name = "constant";
  int64_t warmup = 0;  // steps that go linearly from near 0 to the base rate
  std::vector<Moment> milestones;
  double gamma = 0.1;
  double power = 1;
  Moment period;
  double period_factor = 1;
  std::optional<double> final_factor;  // the last rate, as a share of the base rate
};

// Where in a run a step is.
struct RunPosition {
  int64_t step = 0;
  int64_t total = 1;
  int64_t steps_per_epoch = 1;
};

std::vector<std::string> scheduleNames();

// The factor of the base learning rate. With t the share of the steps after warmup that are done,
// and f the final factor (0 unless it is given):
//   constant: 1
//   step: 1, then 0.1 from half of the run on, 0.01 from three quarters on
//   multistep: gamma^(milestones reached) (PyTorch's MultiStepLR)
//   exponential: gamma^(epochs done), not below f (PyTorch's ExponentialLR)
//   polynomial: f + (1 - f) (1 - t)^power (PyTorch's PolynomialLR, where f is 0)
//   cosine: from 1 to f along half a cosine (Loshchilov and Hutter 2017, without restarts)
//   cosine_restarts: the same over `period`, then again from 1 over period_factor times as long,
//   and
//     so on (PyTorch's CosineAnnealingWarmRestarts, called with each step)
//   onecycle: from 1/25 to 1 over the first 30%, then to f, which is 1e-4 / 25 unless it is given,
//     both along half a cosine (Smith and Topin 2018; PyTorch's OneCycleLR with its defaults, the
//     base rate being the highest)
double learningRateFactor(const LearningRateSchedule& schedule, const RunPosition& position);

// A usage Error that names the option where a schedule lacks what its formula reads, has what it
// does not read, or has an unknown name.
void checkSchedule(const LearningRateSchedule& schedule);

}  // namespace simaqat
