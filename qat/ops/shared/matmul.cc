#include "qat/ops/shared/matmul.h"

#include <algorithm>

namespace simaqat::ops {

std::optional<Shape> inferMatMul(const InferContext& c, size_t a_input, size_t b_input) {
  if (c.shape(a_input) == nullptr || c.shape(b_input) == nullptr) return std::nullopt;
  Shape a = *c.shape(a_input);
  Shape b = *c.shape(b_input);
  for (const size_t i : {a_input, b_input}) {
    if (c.shape(i)->empty()) c.node.fail("input {}: expected a matrix, got a scalar", i);
  }
  const bool row = a.size() == 1;
  const bool column = b.size() == 1;
  if (row) a.insert(a.begin(), Dim(1));
  if (column) b.push_back(1);
  const Dim& depth = a.back();
  const Dim& rows = b[b.size() - 2];
  if (depth.known() && rows.known() && depth.value != rows.value) {
    c.node.fail("input {}: expected {} rows, got {}", b_input, depth.value,
                typeToString(c.input(b_input)));
  }
  const Shape a_batch(a.begin(), a.end() - 2);
  const Shape b_batch(b.begin(), b.end() - 2);
  std::optional<Shape> y = broadcastShapes(c.node, &a_batch, &b_batch);
  if (!row) y->push_back(a[a.size() - 2]);
  if (!column) y->push_back(b.back());
  return y;
}

Products::Products(const Node& node, Span<const int64_t> a, Span<const int64_t> b) {
  m = a.size() == 1 ? 1 : a[a.size() - 2];
  k = a.back();
  n = b.size() == 1 ? 1 : b.back();
  const size_t a_rank = a.size() < 2 ? 0 : a.size() - 2;
  const size_t b_rank = b.size() < 2 ? 0 : b.size() - 2;
  rank = std::max(a_rank, b_rank);
  if (rank > kMaxBroadcastRank) node.fail("rank {} is too large", rank + 2);
  int64_t a_step = m * k;
  int64_t b_step = k * n;
  for (size_t axis = 0; axis < rank; ++axis) {  // from the last one
    const int64_t a_dim = axis < a_rank ? a[a_rank - 1 - axis] : 1;
    const int64_t b_dim = axis < b_rank ? b[b_rank - 1 - axis] : 1;
    dims[axis] = a_dim == 1 ? b_dim : a_dim;
    a_stride[axis] = a_dim == 1 ? 0 : a_step;
    b_stride[axis] = b_dim == 1 ? 0 : b_step;
    a_step *= a_dim;
    b_step *= b_dim;
    count *= dims[axis];
  }
  // One right operand for all: their rows make one tall matrix.
  if (b_step == k * n && a_step == count * m * k) {
    m *= count;
    count = 1;
  }
}

std::pair<int64_t, int64_t> Products::offsets(int64_t product) const {
  std::pair<int64_t, int64_t> result = {0, 0};
  for (size_t axis = 0; axis < rank; ++axis) {
    result.first += product % dims[axis] * a_stride[axis];
    result.second += product % dims[axis] * b_stride[axis];
    product /= dims[axis];
  }
  return result;
}

}  // namespace simaqat::ops
