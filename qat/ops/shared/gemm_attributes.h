// Attributes of Gemm.
#pragma once

#include "qat/ir/attributes.h"

namespace simaqat::ops {

struct GemmAttributes {
  float alpha = 1;
  float beta = 1;
  bool transA = false;  // NOLINT: ONNX's names
  bool transB = false;  // NOLINT

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("alpha", self.alpha);
    visit("beta", self.beta);
    visit("transA", self.transA);
    visit("transB", self.transB);
  }
};

}  // namespace simaqat::ops
