#include "qat/ops/shared/gather_nd.h"

namespace simaqat::ops {

std::optional<Shape> gatherNdShape(const InferContext& c, int64_t batch_dims) {
  const Shape* data = c.shape(0);
  const Shape* indices = c.shape(1);
  if (data == nullptr || indices == nullptr) return std::nullopt;
  const auto data_rank = static_cast<int64_t>(data->size());
  const auto indices_rank = static_cast<int64_t>(indices->size());
  if (batch_dims < 0 || batch_dims >= std::min(data_rank, indices_rank)) {
    c.node.fail("{} batch axes are too many for data {} and indices {}", batch_dims,
                shapeToString(*data), shapeToString(*indices));
  }
  for (size_t axis = 0; axis < static_cast<size_t>(batch_dims); ++axis) {
    const Dim& own = (*data)[axis];
    const Dim& other = (*indices)[axis];
    if (own.known() && other.known() && own.value != other.value) {
      c.node.fail("input 1: expected {} on axis {}, got {}", own.value, axis, other.value);
    }
  }
  const Dim& depth = indices->back();
  if (!depth.known()) return std::nullopt;
  if (depth.value < 1 || depth.value > data_rank - batch_dims) {
    c.node.fail("input 1: expected 1 to {} indices for each slice, got {}", data_rank - batch_dims,
                depth.value);
  }
  Shape y(indices->begin(), indices->end() - 1);
  y.insert(y.end(), data->begin() + batch_dims + depth.value, data->end());
  return y;
}

}  // namespace simaqat::ops
