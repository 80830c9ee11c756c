// Stochastic gradient descent with momentum, as PyTorch's torch.optim.SGD computes it.
#pragma once

#include <cstdint>

#include "qat/base/thread_pool.h"

namespace simaqat::kernels {

struct SgdOptions {
  float learning_rate;
  float momentum;
  float weight_decay;
  bool nesterov;
  float gradient_scale;  // such as what clips the gradient's norm; else 1
};

// In place, for each element (dampening is 0):
//   d = gradient_scale * g + weight_decay * w
//   buffer = momentum * buffer + d
//   w -= learning_rate * (nesterov ? d + momentum * buffer : buffer)
// A buffer of zeros is PyTorch's first step.
void sgdMomentum(float* w, const float* g, float* buffer, int64_t n, const SgdOptions& options,
                 ThreadPool& pool);

// The sum of g * g, in double.
double sumOfSquares(const float* g, int64_t n, ThreadPool& pool);

}  // namespace simaqat::kernels
