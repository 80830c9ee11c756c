// Attributes of BatchNormalization and of the form it takes in training.
#pragma once

#include "qat/ir/attributes.h"

namespace simaqat::ops {

struct BatchNormAttributes {
  float epsilon = 1e-5f;
  // ONNX's: running = running * momentum + batch * (1 - momentum), one minus PyTorch's.
  float momentum = 0.9f;
  bool training_mode = false;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("epsilon", self.epsilon);
    visit("momentum", self.momentum);
    visit("training_mode", self.training_mode);
  }
};

// The training form: statistics of the batch, and what backward needs as further outputs.
struct BatchNormTrainingAttributes : BatchNormAttributes {
  // Puts the unbiased variance into the running one, as PyTorch does.
  bool unbiased_running_var = false;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    BatchNormAttributes::fields(self, visit);
    visit("unbiased_running_var", self.unbiased_running_var);
  }
};

}  // namespace simaqat::ops
