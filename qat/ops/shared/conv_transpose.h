// What ConvTranspose and its gradients share. It is the gradient of a convolution with respect to
// that convolution's input: y plays x, and x plays dy.
#pragma once

#include "qat/ops/shared/convolution.h"

namespace simaqat::ops {

struct ConvTransposeAttributes : ConvAttributes {
  std::vector<int64_t> output_padding;
  std::vector<int64_t> output_shape;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    ConvAttributes::fields(self, visit);
    visit("output_padding", self.output_padding);
    visit("output_shape", self.output_shape);
  }
};

// A gradient's inputs tell neither its own dimensions nor what of y's were asked for.
struct ConvTransposeGradientAttributes : ConvTransposeAttributes {
  std::vector<int64_t> shape;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    ConvTransposeAttributes::fields(self, visit);
    visit.required("shape", self.shape);
  }
};

// The shape rule: y's shape, with unknown dimensions where x's are.
std::optional<Shape> inferConvTranspose(const InferContext& c,
                                        const ConvTransposeAttributes& attributes);

// The sizes of the convolution whose gradient it is, from static dimensions of x and w.
kernels::ConvShape convTransposeShape(const Node& node, const ConvTransposeAttributes& attributes,
                                      Span<const int64_t> x, Span<const int64_t> w);

}  // namespace simaqat::ops
