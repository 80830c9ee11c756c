// Batch normalization over x of [batch, channels, inner] (Ioffe and Szegedy 2015); parameters and
// statistics are [channels]. With m and v the mean and the biased variance of a channel over batch
// and inner:
//   y = (x - m) / sqrt(v + eps) * gamma + beta
// Statistics and gradients are summed in double, and about a value of the channel itself, so that
// a large mean costs the variance nothing. The element type is float32.
#pragma once

#include <cstdint>

#include "qat/base/thread_pool.h"

namespace simaqat::kernels {

struct BatchNormShape {
  int64_t batch;
  int64_t channels;
  int64_t inner;
};

// Normalises with the batch's statistics, and returns them: mean, 1 / sqrt(var + eps) and var.
void batchNormTrain(const BatchNormShape& shape, const float* x, const float* gamma,
                    const float* beta, float eps, float* y, float* saved_mean, float* saved_inv_std,
                    float* var, ThreadPool& pool);

// What y is: (x - center) * factor + offset.
struct BatchNormLine {
  float* center;
  float* factor;
  float* offset;
};
// A channel's x: the mean, 1 / sqrt(var + eps), the biased variance, the least and the greatest;
// the last two NaN where an x is.
struct BatchNormStatistics {
  float* mean;
  float* inv_std;
  float* var;
  float* lo;
  float* hi;
};
// What batchNormTrain computes without its y.
void batchNormStatistics(const BatchNormShape& shape, const float* x, const float* gamma,
                         const float* beta, float eps, const BatchNormLine& line,
                         const BatchNormStatistics& statistics, ThreadPool& pool);
// From x's moments (conv_results.h).
void batchNormStatistics(const BatchNormShape& shape, const double* moments, const float* gamma,
                         const float* beta, float eps, const BatchNormLine& line,
                         const BatchNormStatistics& statistics);

// That of given statistics.
void batchNormLine(int64_t channels, const float* gamma, const float* beta, const float* mean,
                   const float* var, float eps, const BatchNormLine& line);

// Normalises with given statistics.
void batchNormInference(const BatchNormShape& shape, const float* x, const float* gamma,
                        const float* beta, const float* mean, const float* var, float eps, float* y,
                        ThreadPool& pool);

// The gradients of batchNormTrain. With h = (x - m) * inv_std and means over the channel:
//   dgamma = sum(dy * h)   dbeta = sum(dy)
//   dx = gamma * inv_std * (dy - mean(dy) - h * mean(dy * h))
void batchNormGrad(const BatchNormShape& shape, const float* dy, const float* x, const float* gamma,
                   const float* saved_mean, const float* saved_inv_std, float* dx, float* dgamma,
                   float* dbeta, ThreadPool& pool);

// The same where dy is made as it is needed: write(begin, size, step, count, worker) puts its elements
// [begin + i * step, begin + i * step + size), for i in [0, count), where dx's will be. Each element
// is asked for once.
class GradientWriter {
 public:
  virtual ~GradientWriter() = default;
  virtual void write(int64_t begin, int64_t size, int64_t step, int64_t count, int worker) = 0;
};
void batchNormGrad(const BatchNormShape& shape, GradientWriter& writer, const float* x,
                   const float* gamma, const float* saved_mean, const float* saved_inv_std,
                   float* dx, float* dgamma, float* dbeta, ThreadPool& pool);

// The same where dy passes for lo <= x <= hi of its channel, and is 0 elsewhere. dx may be dy.
struct PassedRange {
  const float* lo;
  const float* hi;
};
void batchNormGrad(const BatchNormShape& shape, const float* dy, const float* x,
                   const PassedRange& passed, const float* gamma, const float* saved_mean,
                   const float* saved_inv_std, float* dx, float* dgamma, float* dbeta,
                   ThreadPool& pool);

// The gradients of batchNormInference, to which statistics are constants: dx = gamma * inv_std *
// dy, and dgamma and dbeta as above.
void batchNormFrozenGrad(const BatchNormShape& shape, const float* dy, const float* x,
                         const float* gamma, const float* mean, const float* var, float eps,
                         float* dx, float* dgamma, float* dbeta, ThreadPool& pool);

// The same where dy passes for some x alone. dx may be dy.
void batchNormFrozenGrad(const BatchNormShape& shape, const float* dy, const float* x,
                         const PassedRange& passed, const float* gamma, const float* mean,
                         const float* var, float eps, float* dx, float* dgamma, float* dbeta,
                         ThreadPool& pool);

}  // namespace simaqat::kernels
