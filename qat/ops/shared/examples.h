// Tensors for the operators' examples: fixed numbers that look random, so that a failure repeats.
#pragma once

#include <cstdint>
#include <vector>

#include "qat/base/tensor.h"

namespace simaqat::ops {

// Double values spread over [lo, hi], all different by at least (hi - lo) / (2 count): no two tie.
Tensor exampleTensor(std::vector<int64_t> dims, uint64_t seed = 1, double lo = -1, double hi = 1);
// Integers in [lo, hi).
Tensor exampleIntegers(std::vector<int64_t> dims, int64_t lo, int64_t hi, uint64_t seed = 1);

}  // namespace simaqat::ops
