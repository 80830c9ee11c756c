#include "qat/ops/shared/pooling.h"

#include "qat/ops/shared/convolution.h"

namespace simaqat::ops {
namespace {

// The attributes' numbers for a spatial axis.
WindowAxis windowAxis(const PoolAttributes& a, size_t axis) {
  const auto at = [](const std::vector<int64_t>& list, size_t i, int64_t otherwise) {
    return list.empty() ? otherwise : list[i];
  };
  return {a.kernel_shape[axis], at(a.strides, axis, 1), at(a.dilations, axis, 1),
          at(a.pads, axis, 0), at(a.pads, axis + a.kernel_shape.size(), 0)};
}

void checkLists(const Node& node, const PoolAttributes& a, size_t rank) {
  const auto expectCount = [&](const char* name, const std::vector<int64_t>& list, size_t count) {
    if (list.size() != count) {
      node.fail("attribute '{}': expected {} numbers, got {}", name, count, list.size());
    }
  };
  expectCount("kernel_shape", a.kernel_shape, rank);
  if (!a.strides.empty()) expectCount("strides", a.strides, rank);
  if (!a.dilations.empty()) expectCount("dilations", a.dilations, rank);
  if (!a.pads.empty()) expectCount("pads", a.pads, 2 * rank);
}

}  // namespace

std::optional<Shape> inferPool(const InferContext& c, const PoolAttributes& attributes) {
  const Shape* x = c.shape(0);
  if (x == nullptr) return std::nullopt;
  if (x->size() < 3 || x->size() > 5) {
    c.node.fail("input 0: expected rank 3 to 5, got {}", typeToString(c.input(0)));
  }
  checkLists(c.node, attributes, x->size() - 2);
  Shape y = *x;
  for (size_t axis = 2; axis < x->size(); ++axis) {
    WindowAxis window = windowAxis(attributes, axis - 2);
    y[axis] = (*x)[axis].known() ? Dim(windowOutput(c.node, attributes.auto_pad, (*x)[axis].value,
                                                    window, attributes.ceil_mode))
                                 : Dim();
  }
  return y;
}

kernels::PoolShape poolShape(const Node& node, const PoolAttributes& attributes,
                             Span<const int64_t> x) {
  kernels::PoolShape shape;
  shape.planes = x[0] * x[1];
  for (size_t axis = 2; axis < x.size(); ++axis) {
    const size_t to = axis + 3 - x.size();
    WindowAxis window = windowAxis(attributes, axis - 2);
    shape.in[to] = x[axis];
    shape.out[to] = windowOutput(node, attributes.auto_pad, x[axis], window, attributes.ceil_mode);
    shape.kernel[to] = window.kernel;
    shape.stride[to] = window.stride;
    shape.dilation[to] = window.dilation;
    shape.pad_begin[to] = window.pad_begin;
    shape.pad_end[to] = window.pad_end;
  }
  return shape;
}

void inferGlobalPool(InferContext& c) {
  std::optional<Shape> y;
  if (const Shape* x = c.shape(0)) {
    if (x->size() < 2) {
      c.node.fail("input 0: expected rank 2 or more, got {}", typeToString(c.input(0)));
    }
    y = Shape(x->size(), 1);
    (*y)[0] = (*x)[0];
    (*y)[1] = (*x)[1];
  }
  c.setOutput(0, c.input(0).element, std::move(y));
}

PoolAttributes globalWindow(Span<const int64_t> x) {
  PoolAttributes attributes;
  attributes.kernel_shape.assign(x.begin() + 2, x.end());
  return attributes;
}

int64_t averageCount(const kernels::PoolShape& s, const PoolIndex& window, bool count_include_pad) {
  int64_t count = 1;
  for (size_t axis = 0; axis < 3; ++axis) {
    const int64_t first = count_include_pad ? -s.pad_begin[axis] : 0;
    const int64_t limit = s.in[axis] + (count_include_pad ? s.pad_end[axis] : 0);
    int64_t positions = 0;
    for (int64_t k = 0; k < s.kernel[axis]; ++k) {
      const int64_t at = window[axis] * s.stride[axis] + k * s.dilation[axis] - s.pad_begin[axis];
      if (at >= first && at < limit) ++positions;
    }
    count *= positions;
  }
  // A window that holds nothing has the mean 0.
  return std::max<int64_t>(1, count);
}

}  // namespace simaqat::ops
