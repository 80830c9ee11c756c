// The logarithm of softmax over the middle axis of [outer, classes, inner], of which cross entropy
// is made, and its gradient.
#pragma once

#include <cstdint>

#include "qat/base/thread_pool.h"

namespace simaqat::kernels {

// y = x - m - log(sum over classes of exp(x - m)), with m the largest x, so that nothing overflows.
void logSoftmax(const float* x, int64_t outer, int64_t classes, int64_t inner, float* y,
                ThreadPool& pool);

// dx = dy - exp(y) * sum over classes of dy, from logSoftmax's result y.
void logSoftmaxGrad(const float* dy, const float* y, int64_t outer, int64_t classes, int64_t inner,
                    float* dx, ThreadPool& pool);

}  // namespace simaqat::kernels
