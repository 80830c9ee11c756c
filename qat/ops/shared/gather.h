// What Gather, its gradient and other operators along one axis share.
#pragma once

#include "qat/ops/shared/integers.h"
#include "qat/ops/shared/strided_copy.h"

namespace simaqat::ops {

struct AxisAttributes {
  int64_t axis = 0;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("axis", self.axis);
  }
};

struct GatherGradientAttributes : AxisAttributes {
  // The dimensions of the data.
  std::vector<int64_t> shape;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    AxisAttributes::fields(self, visit);
    visit.required("shape", self.shape);
  }
};

// Data seen as [outer, size, inner] with `size` the axis that indices choose from.
struct AxisSplit {
  AxisSplit(const Node& node, int64_t axis, Span<const int64_t> dims) {
    const auto at =
        static_cast<size_t>(normalizeAxis(node, axis, static_cast<int64_t>(dims.size())));
    outer = product(dims, 0, at);
    size = dims[at];
    inner = product(dims, at + 1, dims.size());
  }
  int64_t outer, size, inner;
};

// Calls line(first, size, stride) for each line along the split's axis, lines spread over threads.
template <class Line>
void forEachLine(const EvalContext& c, const AxisSplit& split, Line line) {
  c.pool.runRanges(split.outer * split.inner, kElementwiseGrain / (split.size + 1) + 1,
                   [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i) {
                       const int64_t first =
                           i / split.inner * split.size * split.inner + i % split.inner;
                       line(first, split.size, split.inner);
                     }
                   });
}

}  // namespace simaqat::ops
