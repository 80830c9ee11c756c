// Attributes of a product of quantized matrices.
#pragma once

#include "qat/ir/attributes.h"

namespace simaqat::ops {

struct QuantizedGemmAttributes {
  bool transB = false;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("transB", self.transB);
  }
};

}  // namespace simaqat::ops
