// What MatMulInteger and QLinearMatMul share.
#pragma once

#include "qat/ops/shared/integer_arithmetic.h"
#include "qat/ops/shared/matmul.h"

namespace simaqat::ops {

// Calls f(i, row, column, sum) for each element of the product of the inputs a and b less their
// zero points: one for all, or one for each row of a and each column of b.
template <class F>
void forEachMatMulSum(const EvalContext& c, size_t a, size_t a_zero, size_t b, size_t b_zero, F f) {
  const Products p(c.node, c.in(a).dims, c.in(b).dims);
  c.pool.run(p.count * p.m, [&](int64_t line, int) {
    const auto [a_offset, b_offset] = p.offsets(line / p.m);
    const int64_t row = line % p.m;
    for (int64_t column = 0; column < p.n; ++column) {
      int32_t sum = 0;
      for (int64_t l = 0; l < p.k; ++l) {
        addProduct(sum, codeAt(c.in(a), a_offset + row * p.k + l) - zeroPointAt(c, a_zero, row),
                   codeAt(c.in(b), b_offset + l * p.n + column) - zeroPointAt(c, b_zero, column));
      }
      f(line * p.n + column, row, column, sum);
    }
  });
}

}  // namespace simaqat::ops
