// The window sums that a convolution and its input gradient are made of.
#pragma once

#include "kernels/window_sum.h"

namespace simaqat::kernels {

// Input positions i with (i + pad) mod stride == residue, whose gradient comes from the kernel
// indices k with k * dilation mod stride == residue: i + pad = out * stride + k * dilation.
inline Axis inputGradAxis(const ConvShape& shape, size_t i, int64_t residue) {
  const int64_t stride = shape.stride[i], dilation = shape.dilation[i], pad = shape.pad_begin[i];
  const int64_t first = ceilDiv(pad - residue, stride);
  const int64_t last = floorDiv(shape.in[i] - 1 + pad - residue, stride);
  const int64_t kernel_step = stride / std::gcd(stride, dilation);
  int64_t k0 = 0;
  while (k0 < kernel_step && k0 * dilation % stride != residue) ++k0;
  const bool any = k0 < kernel_step && k0 < shape.kernel[i];
  const int64_t taps = any ? (shape.kernel[i] - 1 - k0) / kernel_step + 1 : 0;
  // The last kernel index reads the earliest output, so that taps go backwards through the kernel.
  const int64_t last_k = any ? k0 + (taps - 1) * kernel_step : 0;
  const int64_t tap_begin = any ? first - (last_k * dilation - residue) / stride : 0;
  return {last - first + 1,
          first * stride + residue - pad,
          stride,
          shape.in[i],
          shape.out[i],
          1,
          taps,
          tap_begin,
          kernel_step * dilation / stride,
          last_k,
          -kernel_step,
          shape.kernel[i]};
}

// Calls function(sum) for each window sum with positions that a convolution is made of: one
// forward, and backward one for each residue of the strides.
template <class Function>
void callIfAny(const WindowSum& sum, Function&& function) {
  const auto& a = sum.axis;
  if (sum.batch > 0 && a[0].count > 0 && a[1].count > 0 && a[2].count > 0) function(sum);
}

struct ForwardSums {
  template <class Function>
  void operator()(Function&& function) const {
    callIfAny(forwardSum(shape), function);
  }
  ConvShape shape;
};

struct InputGradSums {
  template <class Function>
  void operator()(Function&& function) const {
    WindowSum sum{shape.batch,
                  shape.group,
                  shape.out_channels / shape.group,
                  shape.in_channels / shape.group,
                  {}};
    for (int64_t d = 0; d < shape.stride[0]; ++d) {
      for (int64_t h = 0; h < shape.stride[1]; ++h) {
        for (int64_t w = 0; w < shape.stride[2]; ++w) {
          sum.axis = {inputGradAxis(shape, 0, d), inputGradAxis(shape, 1, h),
                      inputGradAxis(shape, 2, w)};
          callIfAny(sum, function);
        }
      }
    }
  }
  ConvShape shape;
};

}  // namespace simaqat::kernels
