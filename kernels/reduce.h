// Sums over all axes but one.
#pragma once

#include <cstdint>

#include "qat/base/thread_pool.h"

namespace simaqat::kernels {

// sum[c] = sum of x[:, c, :], x being [outer, channels, inner], added in double: the gradient of a
// bias.
void channelSum(const float* x, int64_t outer, int64_t channels, int64_t inner, float* sum,
                ThreadPool& pool);

}  // namespace simaqat::kernels
