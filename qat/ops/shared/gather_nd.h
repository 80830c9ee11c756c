// Where GatherND, its gradient and ScatterND find a slice of the data.
#pragma once

#include "qat/ops/shared/integers.h"
#include "qat/ops/shared/strided_copy.h"

namespace simaqat::ops {

// The indices' last axis holds tuples; each names one slice of the data, behind `batch_dims`
// leading axes that data and indices share.
class GatherNdWalk {
 public:
  GatherNdWalk(const Node& node, int64_t batch_dims, Span<const int64_t> data,
               const TensorView& indices)
      : node_(node),
        batch_dims_(static_cast<size_t>(batch_dims)),
        depth_(static_cast<size_t>(indices.dim(-1))),
        data_(data),
        indices_(indices) {
    const size_t first = batch_dims_ + depth_;
    slice_ = product(data, first, data.size());
    rows_ = product(indices.dims, 0, indices.dims.size() - 1);
    const int64_t batches = product(data, 0, batch_dims_);
    rows_per_batch_ = batches == 0 ? 0 : rows_ / batches;
    batch_stride_ = product(data, batch_dims_, data.size());
  }

  // How many slices the indices name, and how many elements each has.
  int64_t rows() const { return rows_; }
  int64_t slice() const { return slice_; }

  // The data's element with which slice `row` begins.
  int64_t source(int64_t row) const {
    int64_t offset = 0;
    for (size_t k = 0; k < depth_; ++k) {
      const int64_t size = data_[batch_dims_ + k];
      const int64_t at = row * static_cast<int64_t>(depth_) + static_cast<int64_t>(k);
      offset = offset * size + checkedIndex(node_, integerAt(indices_, at), size);
    }
    return row / rows_per_batch_ * batch_stride_ + offset * slice_;
  }

 private:
  const Node& node_;
  size_t batch_dims_, depth_;
  Span<const int64_t> data_;
  TensorView indices_;
  int64_t slice_, rows_, rows_per_batch_, batch_stride_;
};

struct GatherNdAttributes {
  int64_t batch_dims = 0;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("batch_dims", self.batch_dims);
  }
};

struct GatherNdGradientAttributes : GatherNdAttributes {
  // The dimensions of the data.
  std::vector<int64_t> shape;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    GatherNdAttributes::fields(self, visit);
    visit.required("shape", self.shape);
  }
};

// The shape of the slices that the indices name: [indices but the last axis, what is left of the
// data]; absent where a rank or the length of the tuples is not known. Fails naming the node.
std::optional<Shape> gatherNdShape(const InferContext& c, int64_t batch_dims);

}  // namespace simaqat::ops
