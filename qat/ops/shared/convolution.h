// What Conv and its two gradients share: attributes, sizes, reference loops.
#pragma once

#include "kernels/conv.h"
#include "kernels/winograd_conv.h"
#include "qat/ir/op.h"
#include "qat/ops/shared/convolution_attributes.h"

namespace simaqat::ops {

// One spatial axis of a window that slides: convolution or pooling.
struct WindowAxis {
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t dilation = 1;
  int64_t pad_begin = 0;
  int64_t pad_end = 0;
};

// The axis' padding by ONNX's auto_pad and the output's size, for an input of `in` elements.
// `ceil_mode` is pooling's. Fails naming the node.
int64_t windowOutput(const Node& node, const std::string& auto_pad, int64_t in, WindowAxis& axis,
                     bool ceil_mode = false);

// All sizes of a convolution from static dimensions of x and w.
kernels::ConvShape convShape(const Node& node, const ConvAttributes& attributes,
                             Span<const int64_t> x, Span<const int64_t> w);

// Of a gradient with these attributes.
template <class S = ConvGradientAttributes>
kernels::Operands operandsOf(const Node& node) {
  return node.attributes<S>().bfloat16 ? kernels::Operands::kBfloat16 : kernels::Operands::kFloat;
}

// Whether a gradient of quantized values runs in Winograd's tiles: products of bfloat16 numbers are
// faster than those fewer of floats.
inline bool fitsWinograd(const kernels::ConvShape& shape, kernels::Operands operands) {
  return operands == kernels::Operands::kFloat && kernels::winogradFits(shape);
}

// Which inputs are x, w and, where there may be one, the bias.
struct ConvInputs {
  size_t x = 0;
  size_t w = 1;
  std::optional<size_t> bias = 2;
};

// The shape rule: y's shape, with unknown dimensions where x's are.
std::optional<Shape> inferConv(const InferContext& c, const ConvAttributes& attributes,
                               const ConvInputs& inputs = {});

// A multiply-add counted as two; all taps, those in the padding too.
inline double convOperations(const kernels::ConvShape& s) {
  double operations = 2.0 * static_cast<double>(s.batch * s.out_channels);
  for (size_t i = 0; i < 3; ++i) operations *= static_cast<double>(s.out[i] * s.kernel[i]);
  return operations * static_cast<double>(s.in_channels / s.group);
}

// Calls f(x_index, w_index, y_index) for each product of the convolution, in a fixed order: the
// definition, for reference evaluation of Conv and its gradients.
template <class F>
void forEachProduct(const kernels::ConvShape& s, F f) {
  const int64_t in_per_group = s.in_channels / s.group;
  const int64_t out_per_group = s.out_channels / s.group;
  const auto visit = [&](int64_t n, int64_t o, int64_t c, const std::array<int64_t, 3>& p,
                         const std::array<int64_t, 3>& k) {
    int64_t x = n * s.in_channels + (o / out_per_group) * in_per_group + c;
    int64_t w = o * in_per_group + c;
    int64_t y = n * s.out_channels + o;
    for (size_t axis = 0; axis < 3; ++axis) {
      const int64_t at = p[axis] * s.stride[axis] + k[axis] * s.dilation[axis] - s.pad_begin[axis];
      if (at < 0 || at >= s.in[axis]) return;
      x = x * s.in[axis] + at;
      w = w * s.kernel[axis] + k[axis];
      y = y * s.out[axis] + p[axis];
    }
    f(x, w, y);
  };
  std::array<int64_t, 3> p{};
  std::array<int64_t, 3> k{};
  for (int64_t n = 0; n < s.batch; ++n)
    for (int64_t o = 0; o < s.out_channels; ++o)
      for (p[0] = 0; p[0] < s.out[0]; ++p[0])
        for (p[1] = 0; p[1] < s.out[1]; ++p[1])
          for (p[2] = 0; p[2] < s.out[2]; ++p[2])
            for (int64_t c = 0; c < in_per_group; ++c)
              for (k[0] = 0; k[0] < s.kernel[0]; ++k[0])
                for (k[1] = 0; k[1] < s.kernel[1]; ++k[1])
                  for (k[2] = 0; k[2] < s.kernel[2]; ++k[2]) visit(n, o, c, p, k);
}

}  // namespace simaqat::ops
