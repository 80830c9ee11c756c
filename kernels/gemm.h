// Matrix multiplication.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/operands.h"
#include "qat/base/thread_pool.h"

namespace simaqat::kernels {

// C = alpha * op(A) * op(B) + beta * C, row-major: op(A) is m x k, op(B) k x n, C m x n; A is
// stored k x m where trans_a, B n x k where trans_b. Where beta is 0, C is not read. alpha is
// multiplied into B. An element of C is the sum of chains of 256 fused multiply-adds, in the order
// of k; of bfloat16 operands, of 512.
size_t gemmWorkspace(Operands operands, int64_t m, int64_t n, int64_t k, int threads);
void gemm(Operands operands, bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k,
          float alpha, const float* a, const float* b, float beta, float* c, std::byte* workspace,
          ThreadPool& pool);

// Where a product's matrices begin.
struct GemmOffsets {
  int64_t a, b;
};
// `count` products C[i] = A B, [count, m, n]; offsets(context, i) is where those of C[i] begin. The
// bits are gemm's.
size_t gemmsWorkspace(Operands operands, int64_t count, int64_t m, int64_t n, int64_t k,
                      int threads);
void gemms(Operands operands, int64_t count, int64_t m, int64_t n, int64_t k, const float* a,
           const float* b, GemmOffsets (*offsets)(const void* context, int64_t i),
           const void* context, float* c, std::byte* workspace, ThreadPool& pool);

}  // namespace simaqat::kernels
