// What Slice and its gradient share.
#pragma once

#include <algorithm>
#include <limits>

#include "qat/ops/shared/strided_copy.h"

namespace simaqat::ops {

// Along one axis: elements start, start + step, ... of the input.
struct SliceRange {
  int64_t start = 0;
  int64_t step = 1;
  int64_t count = 0;
};

// ONNX's rule for an axis of `size` elements: ends beyond it are clamped.
inline SliceRange sliceRange(const Node& node, int64_t size, int64_t start, int64_t end,
                             int64_t step) {
  if (step == 0) node.fail("a step of 0");
  const bool forward = step > 0;
  const auto clamped = [&](int64_t index) {
    if (index < 0) index += size;
    return forward ? std::clamp<int64_t>(index, 0, size) : std::clamp<int64_t>(index, -1, size - 1);
  };
  // Far ends come as the least and greatest int64, of which the former plus the size is no trouble.
  const int64_t first = clamped(start);
  const int64_t span = forward ? clamped(end) - first : first - clamped(end);
  // Not abs(step), which the least int64 has none of.
  const int64_t stride = forward ? step : -std::max(step, -std::numeric_limits<int64_t>::max());
  return {first, step, span <= 0 ? 0 : (span - 1) / stride + 1};
}

struct SliceGradientAttributes {
  // For each axis of the input.
  std::vector<int64_t> starts;
  std::vector<int64_t> steps;
  std::vector<int64_t> shape;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit.required("starts", self.starts);
    visit.required("steps", self.steps);
    visit.required("shape", self.shape);
  }
};

}  // namespace simaqat::ops
