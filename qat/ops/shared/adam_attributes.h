// Attributes of Adam's and AdamW's update.
#pragma once

#include "qat/ir/attributes.h"

namespace simaqat::ops {

struct AdamAttributes {
  // 1 - beta1 and 1 - beta2: a float next to 1 would lose digits.
  float complement1 = 0.1f;
  float complement2 = 0.001f;
  float epsilon = 1e-8f;
  float weight_decay = 0;
  bool decoupled_weight_decay = false;  // AdamW
  float rate_factor = 1;                // of the step's learning rate

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("complement1", self.complement1);
    visit("complement2", self.complement2);
    visit("epsilon", self.epsilon);
    visit("weight_decay", self.weight_decay);
    visit("decoupled_weight_decay", self.decoupled_weight_decay);
    visit("rate_factor", self.rate_factor);
  }
};

}  // namespace simaqat::ops
