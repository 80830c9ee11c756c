// What the pooling operators and their gradients share.
#pragma once

#include <limits>

#include "kernels/pool.h"
#include "qat/ops/shared/broadcast.h"

namespace simaqat::ops {

struct PoolAttributes {
  std::string auto_pad = "NOTSET";
  bool ceil_mode = false;
  std::vector<int64_t> dilations;
  std::vector<int64_t> kernel_shape;
  std::vector<int64_t> pads;
  std::vector<int64_t> strides;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("auto_pad", self.auto_pad);
    visit("ceil_mode", self.ceil_mode);
    visit("dilations", self.dilations);
    visit.required("kernel_shape", self.kernel_shape);
    visit("pads", self.pads);
    visit("strides", self.strides);
  }
};

struct MaxPoolAttributes : PoolAttributes {
  // 1: the indices of output 1 count columns first.
  int64_t storage_order = 0;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    PoolAttributes::fields(self, visit);
    visit("storage_order", self.storage_order);
  }
};

struct AveragePoolAttributes : PoolAttributes {
  bool count_include_pad = false;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    PoolAttributes::fields(self, visit);
    visit("count_include_pad", self.count_include_pad);
  }
};

// The gradient's inputs do not tell its dimensions.
struct AveragePoolGradientAttributes : AveragePoolAttributes {
  std::vector<int64_t> shape;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    AveragePoolAttributes::fields(self, visit);
    visit.required("shape", self.shape);
  }
};

struct GlobalAveragePoolGradientAttributes {
  std::vector<int64_t> shape;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit.required("shape", self.shape);
  }
};

// y's shape, with unknown dimensions where x's are.
std::optional<Shape> inferPool(const InferContext& c, const PoolAttributes& attributes);

// All sizes from static dimensions of x.
kernels::PoolShape poolShape(const Node& node, const PoolAttributes& attributes,
                             Span<const int64_t> x);

// The shape rule of the global ones: every spatial axis becomes 1.
void inferGlobalPool(InferContext& c);
// The one window that covers every spatial axis of x.
PoolAttributes globalWindow(Span<const int64_t> x);

using PoolIndex = std::array<int64_t, 3>;

// Calls f(window, y's index, the offset of x's plane) for each window, in order.
template <class F>
void forEachWindow(const kernels::PoolShape& s, F f) {
  int64_t y = 0;
  PoolIndex p{};
  for (int64_t plane = 0; plane < s.planes; ++plane)
    for (p[0] = 0; p[0] < s.out[0]; ++p[0])
      for (p[1] = 0; p[1] < s.out[1]; ++p[1])
        for (p[2] = 0; p[2] < s.out[2]; ++p[2]) {
          f(p, y++, plane * s.in[0] * s.in[1] * s.in[2]);
        }
}

// Calls f(index in x's plane) for the positions of a window that exist, in scan order.
template <class F>
void forEachTap(const kernels::PoolShape& s, const PoolIndex& window, F f) {
  const auto visit = [&](const PoolIndex& k) {
    int64_t x = 0;
    for (size_t axis = 0; axis < 3; ++axis) {
      const int64_t at =
          window[axis] * s.stride[axis] + k[axis] * s.dilation[axis] - s.pad_begin[axis];
      if (at < 0 || at >= s.in[axis]) return;
      x = x * s.in[axis] + at;
    }
    f(x);
  };
  PoolIndex k{};
  for (k[0] = 0; k[0] < s.kernel[0]; ++k[0])
    for (k[1] = 0; k[1] < s.kernel[1]; ++k[1])
      for (k[2] = 0; k[2] < s.kernel[2]; ++k[2]) visit(k);
}

// Where in its plane the window's maximum is, the first of equal ones (the last NaN, where there
// is one); -1 for a window of padding alone.
template <class T>
int64_t argMax(const kernels::PoolShape& s, const PoolIndex& window, const T* plane) {
  int64_t best = -1;
  forEachTap(s, window, [&](int64_t i) {
    if (best < 0 || plane[i] > plane[best] || plane[i] != plane[i]) best = i;
  });
  return best;
}

// How many positions an average is over.
int64_t averageCount(const kernels::PoolShape& s, const PoolIndex& window, bool count_include_pad);

}  // namespace simaqat::ops
