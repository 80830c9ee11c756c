// What the machine does at most, measured: the yardstick of profiles.
#pragma once

#include "qat/base/thread_pool.h"

namespace simaqat::kernels {

struct MachinePeak {
  double float_operations;    // float32 a second, a multiply-add counted as two
  double integer_operations;  // u8 x s8 products and sums into s32 a second, likewise
  double bytes;               // read and written a second, by a copy beyond the caches
};

// On all threads of the pool, by the widest vectors that the kernels' table uses. Takes about half a
// second.
MachinePeak measurePeak(ThreadPool& pool);

}  // namespace simaqat::kernels
