// Learning-rate schedules: pure functions of the step.
#pragma once

#include <cstdint>
#include <string>

namespace simaqat {

// The factor of the base learning rate at `step` of `total`.
//   constant: 1
//   step: 1, then 0.1 from half of the run on, 0.01 from three quarters on
//   cosine: from 1 to 0 along half a cosine (Loshchilov and Hutter 2017, without restarts)
//   onecycle: from 1/25 to 1 over the first 30%, then to 1e-4 / 25, both along half a cosine (Smith
//     and Topin 2018; PyTorch's OneCycleLR with its defaults, the base rate being the highest)
// Before that, `warmup` steps go linearly from near 0 to 1. An unknown name is a usage Error.
double learningRateFactor(const std::string& schedule, int64_t step, int64_t total, int64_t warmup);

}  // namespace simaqat
