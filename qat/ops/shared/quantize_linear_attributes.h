// Attributes of QuantizeLinear and DequantizeLinear.
#pragma once

#include "qat/ir/attributes.h"

namespace simaqat::ops {

struct QuantizeLinearAttributes {
  int64_t axis = 1;
  int64_t block_size = 0;
  int64_t output_dtype = 0;
  int64_t precision = 0;
  bool saturate = true;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("axis", self.axis);
    visit("block_size", self.block_size);
    visit("output_dtype", self.output_dtype);
    visit("precision", self.precision);
    visit("saturate", self.saturate);
  }
};

}  // namespace simaqat::ops
