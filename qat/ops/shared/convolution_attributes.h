// Attributes of Conv and of its gradients.
#pragma once

#include "qat/ir/attributes.h"

namespace simaqat::ops {

struct ConvAttributes {
  std::string auto_pad = "NOTSET";
  std::vector<int64_t> dilations;
  int64_t group = 1;
  std::vector<int64_t> kernel_shape;
  std::vector<int64_t> pads;
  std::vector<int64_t> strides;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("auto_pad", self.auto_pad);
    visit("dilations", self.dilations);
    visit("group", self.group);
    visit("kernel_shape", self.kernel_shape);
    visit("pads", self.pads);
    visit("strides", self.strides);
  }
};

// A gradient of Conv, whose result's dimensions its inputs do not tell.
struct ConvGradientAttributes : ConvAttributes {
  std::vector<int64_t> shape;
  bool bfloat16 = false;  // what operands of products are rounded to (kernels/operands.h)

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    ConvAttributes::fields(self, visit);
    visit.required("shape", self.shape);
    visit("bfloat16", self.bfloat16);
  }
};

// Both at once, which tell their dimensions.
struct ConvGradientsAttributes : ConvAttributes {
  bool bfloat16 = false;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    ConvAttributes::fields(self, visit);
    visit("bfloat16", self.bfloat16);
  }
};

}  // namespace simaqat::ops
