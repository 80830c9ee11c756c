// Attributes of the optimizer's operators.
#pragma once

#include "qat/ir/attributes.h"

namespace simaqat::ops {

struct SgdAttributes {
  float momentum = 0;
  float weight_decay = 0;
  bool nesterov = false;
  float rate_factor = 1;  // of the step's learning rate

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("momentum", self.momentum);
    visit("weight_decay", self.weight_decay);
    visit("nesterov", self.nesterov);
    visit("rate_factor", self.rate_factor);
  }
};

struct GradientNormAttributes {
  // 0 for no limit.
  float max_norm = 0;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("max_norm", self.max_norm);
  }
};

}  // namespace simaqat::ops
