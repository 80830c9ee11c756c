// Convolution over one to three spatial axes, with groups, and its two gradients.
//
//   y[n, o, p] = bias[o] + sum over c, k of w[o, c, k] * x[n, g * C/G + c, p * stride
//                                                       + k * dilation - pad_begin]
// where g is o's group and x is zero outside; ONNX's Conv. Arrays are float32, row-major:
//   x, dx [batch, in_channels, in...]    y, dy [batch, out_channels, out...]
//   w, dw [out_channels, in_channels / group, kernel...]    bias [out_channels]
// Arrays of one call do not overlap.
//
// An element of y or dx is a sum in a fixed order, of chains of fused multiply-adds: it depends on
// nothing but its own sample, neither on the threads nor on the rest of the batch.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernels/operands.h"
#include "qat/base/thread_pool.h"

namespace simaqat::kernels {

// Spatial axes are the last `rank` of three; leading ones that are not used have size, kernel,
// stride and dilation 1 and padding 0. The padding at the end follows from `out`.
struct ConvShape {
  int64_t batch = 1;
  int64_t in_channels = 1;
  int64_t out_channels = 1;
  int64_t group = 1;
  int rank = 2;
  std::array<int64_t, 3> in{1, 1, 1};
  std::array<int64_t, 3> out{1, 1, 1};
  std::array<int64_t, 3> kernel{1, 1, 1};
  std::array<int64_t, 3> stride{1, 1, 1};
  std::array<int64_t, 3> dilation{1, 1, 1};
  std::array<int64_t, 3> pad_begin{0, 0, 0};
};

// Each channel is a group of its own.
inline bool isDepthwise(const ConvShape& shape) {
  return shape.group == shape.in_channels && shape.group == shape.out_channels;
}

// What forward's sums are taken in. In double, y is rounded once, at twice the time: in a deep
// network with BatchNormalization the rounding of float sums grows from layer to layer until it
// decides at the corner of a Relu, which moves a gradient by a hundredth.
enum class Sums { kFloat, kDouble };

// y, from x and w. bias may be null.
size_t convForwardWorkspace(const ConvShape& shape, Sums sums, int threads);
void convForward(const ConvShape& shape, Sums sums, const float* x, const float* w,
                 const float* bias, float* y, std::byte* workspace, ThreadPool& pool);

// dx, from dy and w. Gradients of a depthwise convolution are of floats, whatever `operands` says:
// there is no sum over channels to make dot products of.
size_t convInputGradWorkspace(const ConvShape& shape, Operands operands, int threads);
void convInputGrad(const ConvShape& shape, Operands operands, const float* dy, const float* w,
                   float* dx, std::byte* workspace, ThreadPool& pool);

// A tensor x = (code - zero_point) * scale as its codes.
struct Codes {
  const uint8_t* codes;
  float scale;
  float zero_point;
};

// dw, from x and dy. Codes less the zero point are exact in bfloat16.
size_t convWeightGradWorkspace(const ConvShape& shape, Operands operands, int threads);
void convWeightGrad(const ConvShape& shape, Operands operands, const float* x, const float* dy,
                    float* dw, std::byte* workspace, ThreadPool& pool);
void convWeightGrad(const ConvShape& shape, Operands operands, const Codes& x, const float* dy,
                    float* dw, std::byte* workspace, ThreadPool& pool);

// dx and dw, each the same bits as above. Of a 1x1 convolution that moves nothing
// and has few channels in front, one pass over dy makes both.
size_t convGradsWorkspace(const ConvShape& shape, Operands operands, int threads);
void convGrads(const ConvShape& shape, Operands operands, const float* x, const float* dy,
               const float* w, float* dx, float* dw, std::byte* workspace, ThreadPool& pool);
void convGrads(const ConvShape& shape, Operands operands, const Codes& x, const float* dy,
               const float* w, float* dx, float* dw, std::byte* workspace, ThreadPool& pool);

}  // namespace simaqat::kernels
