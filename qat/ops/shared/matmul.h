// What MatMul and its integer forms share.
#pragma once

#include "qat/ops/shared/strided_copy.h"

namespace simaqat::ops {

// NumPy's shape rule for a product of these inputs. A vector on the left is a row, one on the right
// a column, and its axis of size 1 is not in the result.
std::optional<Shape> inferMatMul(const InferContext& c, size_t a_input, size_t b_input);

// The products that make up the result: Y[i] = A[i] B[i], where A and B may repeat.
struct Products {
  Products(const Node& node, Span<const int64_t> a, Span<const int64_t> b);

  // Where A and B of a product begin.
  std::pair<int64_t, int64_t> offsets(int64_t product) const;

  int64_t m, n, k;
  int64_t count = 1;
  size_t rank;
  Strides dims{}, a_stride{}, b_stride{};
};

}  // namespace simaqat::ops
