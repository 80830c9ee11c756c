// Adam and AdamW, as PyTorch's torch.optim.Adam and torch.optim.AdamW compute them (Kingma and Ba
// 2015; Loshchilov and Hutter 2019).
#pragma once

#include <cstdint>

#include "qat/base/thread_pool.h"

namespace simaqat::kernels {

struct AdamOptions {
  float learning_rate;
  double beta1;
  double beta2;
  float epsilon;
  float weight_decay;
  bool decoupled_weight_decay;  // AdamW
  float gradient_scale;         // such as what clips the gradient's norm; else 1
  int64_t step;                 // from 1 on
};

// In place, for each element:
//   d = gradient_scale * g, plus weight_decay * w in Adam
//   w -= learning_rate * weight_decay * w in AdamW
//   m = beta1 * m + (1 - beta1) * d
//   v = beta2 * v + (1 - beta2) * d * d
//   w -= learning_rate / (1 - beta1^step) * m / (sqrt(v) / sqrt(1 - beta2^step) + epsilon)
void adam(float* w, const float* g, float* m, float* v, int64_t n, const AdamOptions& options,
          ThreadPool& pool);

}  // namespace simaqat::kernels
