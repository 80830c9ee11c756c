// Where GatherElements and its gradient find an element of the data.
#pragma once

#include "qat/ops/shared/gather.h"

namespace simaqat::ops {

class GatherElementsWalk {
 public:
  GatherElementsWalk(const Node& node, int64_t axis, Span<const int64_t> data,
                     const TensorView& indices)
      : node_(node),
        axis_(static_cast<size_t>(normalizeAxis(node, axis, static_cast<int64_t>(data.size())))),
        data_(data),
        strides_(denseStrides(node, data)),
        indices_(indices) {
    for (size_t k = 0; k < data.size(); ++k) {
      if (k != axis_ && indices.dims[k] > data[k]) {
        node.fail("input 1: axis {} has {} elements, of which the data has {}", k, indices.dims[k],
                  data[k]);
      }
    }
  }

  // The element of the data that element i of the output is.
  int64_t source(int64_t i) const {
    int64_t offset = checkedIndex(node_, integerAt(indices_, i), data_[axis_]) * strides_[axis_];
    for (size_t k = data_.size(); k-- > 0;) {
      if (k != axis_) offset += i % indices_.dims[k] * strides_[k];
      i /= indices_.dims[k];
    }
    return offset;
  }

 private:
  const Node& node_;
  size_t axis_;
  Span<const int64_t> data_;
  Strides strides_;
  TensorView indices_;
};

}  // namespace simaqat::ops
