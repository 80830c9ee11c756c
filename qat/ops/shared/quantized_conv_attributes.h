// Attributes of a convolution that quantizes its result.
#pragma once

#include "qat/ops/shared/convolution_attributes.h"

namespace simaqat::ops {

struct QuantizingConvAttributes : ConvAttributes {
  int64_t qmin = 0;
  int64_t qmax = 255;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    ConvAttributes::fields(self, visit);
    visit.required("qmin", self.qmin);
    visit.required("qmax", self.qmax);
  }
};

}  // namespace simaqat::ops
