// Shapes of convolutions and the naive loop over their products.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "kernels/conv.h"

namespace simaqat::kernels {

inline int64_t product(const std::array<int64_t, 3>& a) { return a[0] * a[1] * a[2]; }
inline int64_t sizeOfX(const ConvShape& s) { return s.batch * s.in_channels * product(s.in); }
inline int64_t sizeOfY(const ConvShape& s) { return s.batch * s.out_channels * product(s.out); }
inline int64_t sizeOfW(const ConvShape& s) {
  return s.out_channels * (s.in_channels / s.group) * product(s.kernel);
}

// Calls body(x index, w index, y index) for every product in the convolution.
template <class Body>
void forEachProduct(const ConvShape& s, Body&& body) {
  const int64_t in_group = s.in_channels / s.group, out_group = s.out_channels / s.group;
  for (int64_t n = 0; n < s.batch; ++n) {
    for (int64_t o = 0; o < s.out_channels; ++o) {
      for (int64_t p = 0; p < product(s.out); ++p) {
        const std::array<int64_t, 3> at{p / (s.out[1] * s.out[2]), p / s.out[2] % s.out[1],
                                        p % s.out[2]};
        for (int64_t c = 0; c < in_group; ++c) {
          for (int64_t k = 0; k < product(s.kernel); ++k) {
            const std::array<int64_t, 3> tap{k / (s.kernel[1] * s.kernel[2]),
                                             k / s.kernel[2] % s.kernel[1], k % s.kernel[2]};
            std::array<int64_t, 3> from{};
            bool inside = true;
            for (size_t i = 0; i < 3; ++i) {
              from[i] = at[i] * s.stride[i] + tap[i] * s.dilation[i] - s.pad_begin[i];
              inside &= from[i] >= 0 && from[i] < s.in[i];
            }
            if (!inside) continue;
            const int64_t channel = o / out_group * in_group + c;
            body((((n * s.in_channels + channel) * s.in[0] + from[0]) * s.in[1] + from[1]) *
                         s.in[2] +
                     from[2],
                 (o * in_group + c) * product(s.kernel) + k,
                 (n * s.out_channels + o) * product(s.out) + p);
          }
        }
      }
    }
  }
}

// The output size of full windows, with as much padding at the end as at the begin plus `extra`.
inline ConvShape make(int64_t batch, int64_t in_channels, int64_t out_channels, int64_t group,
               std::array<int64_t, 3> in, std::array<int64_t, 3> kernel,
               std::array<int64_t, 3> stride = {1, 1, 1}, std::array<int64_t, 3> pad = {0, 0, 0},
               std::array<int64_t, 3> dilation = {1, 1, 1}, std::array<int64_t, 3> extra = {}) {
  ConvShape s{batch, in_channels, out_channels, group, 2, in, {}, kernel, stride, dilation, pad};
  for (size_t i = 0; i < 3; ++i) {
    s.out[i] = (in[i] + 2 * pad[i] + extra[i] - (kernel[i] - 1) * dilation[i] - 1) / stride[i] + 1;
  }
  return s;
}

// Depthwise convolutions that keep a plane's size, small and not so small, and some that do not.
// With stride 2 and less padding, of an odd width: what the residues of the stride have are numbers
// of columns that differ, and dy has as many as the fewer.
inline std::vector<ConvShape> depthwiseShapes() {
  std::vector<ConvShape> shapes;
  for (int64_t size : {1, 2, 3, 5, 7, 8, 9, 14, 16, 28, 40, 57}) {
    shapes.push_back(make(3, 5, 5, 5, {1, size, size + 1}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
    shapes.push_back(make(2, 3, 3, 3, {1, size, size}, {1, 5, 5}, {1, 1, 1}, {0, 2, 2}));
    shapes.push_back(make(2, 3, 3, 3, {1, size, size}, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}));
    shapes.push_back(make(2, 3, 3, 3, {1, size, size + 1}, {1, 5, 5}, {1, 2, 2}, {0, 2, 2}));
    shapes.push_back(make(1, 3, 3, 3, {1, size + 1, size}, {1, 3, 3}, {1, 1, 2}, {0, 1, 1}));
    for (int64_t width : {size + 2, size + 3}) {
      shapes.push_back(make(2, 3, 3, 3, {1, size + 2, width}, {1, 3, 3}, {1, 2, 2}));
      shapes.push_back(make(2, 3, 3, 3, {1, size, width}, {1, 3, 3}, {1, 2, 2}, {0, 1, 0}));
      shapes.push_back(make(2, 3, 3, 3, {1, size + 4, width}, {1, 5, 5}, {1, 2, 2}, {0, 0, 1}));
    }
  }
  shapes.push_back(make(2, 4, 4, 4, {1, 9, 9}, {1, 3, 3}, {1, 1, 1}, {0, 2, 2}, {1, 2, 2}));
  shapes.push_back(make(2, 4, 4, 4, {1, 9, 13}, {1, 1, 3}, {1, 1, 1}, {0, 0, 1}));
  shapes.push_back(make(2, 4, 4, 4, {1, 9, 13}, {1, 3, 1}, {1, 1, 1}, {0, 1, 0}));
  shapes.push_back(
      make(2, 4, 4, 4, {1, 9, 9}, {1, 4, 4}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}, {0, 1, 1}));
  shapes.push_back(make(2, 4, 4, 4, {1, 1, 40}, {1, 1, 7}, {1, 1, 1}, {0, 0, 3}));
  shapes.push_back(make(2, 4, 4, 4, {3, 4, 5}, {3, 3, 3}, {1, 1, 1}, {1, 1, 1}));
  shapes.push_back(make(2, 4, 4, 4, {2, 4, 4}, {2, 3, 3}, {2, 1, 1}, {0, 1, 1}));
  shapes.push_back(make(2, 4, 4, 4, {1, 4, 4}, {3, 3, 3}, {1, 1, 1}, {1, 1, 1}));
  return shapes;
}

}  // namespace simaqat::kernels
