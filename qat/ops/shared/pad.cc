#include "qat/ops/shared/pad.h"

#include <algorithm>

namespace simaqat::ops {

Strides padsInFront(const EvalContext& c) {
  const auto rank = static_cast<int64_t>(c.in(0).dims.size());
  if (rank > kMaxBroadcastRank) c.node.fail("rank {} is too large", rank);
  Strides front{};
  for (int64_t i = 0; i < c.in(1).size / 2; ++i) {
    const int64_t axis = normalizeAxis(c.node, c.hasIn(3) ? integerAt(c.in(3), i) : i, rank);
    front[static_cast<size_t>(axis)] = integerAt(c.in(1), i);
  }
  return front;
}

PadWalk::PadWalk(const EvalContext& c, const std::string& mode, Span<const int64_t> data,
                 Span<const int64_t> padded)
    : mode_(mode == "edge"      ? Mode::kEdge
            : mode == "reflect" ? Mode::kReflect
                                : Mode::kWrap),
      data_(data),
      padded_(padded),
      front_(padsInFront(c)),
      strides_(denseStrides(c.node, data)) {
  for (size_t axis = 0; axis < data.size(); ++axis) {
    if (data[axis] == 0 && padded[axis] != 0) c.node.fail("axis {}: nothing to pad with", axis);
  }
  for (size_t axis = 0; axis < data.size() && front_[axis] == 0 && data[axis] == padded[axis];
       ++axis) {
    outer_ *= data[axis];
  }
}

int64_t PadWalk::sourceIndex(int64_t i, int64_t size) const {
  if (mode_ == Mode::kEdge || size == 1) return std::clamp<int64_t>(i, 0, size - 1);
  const int64_t period = mode_ == Mode::kWrap ? size : 2 * (size - 1);
  const int64_t index = (i % period + period) % period;
  return index < size ? index : period - index;
}

int64_t PadWalk::source(int64_t i) const {
  int64_t offset = 0;
  for (size_t axis = data_.size(); axis-- > 0;) {
    offset += sourceIndex(i % padded_[axis] - front_[axis], data_[axis]) * strides_[axis];
    i /= padded_[axis];
  }
  return offset;
}

}  // namespace simaqat::ops
