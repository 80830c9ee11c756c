// Stochastic gradient descent with momentum (PyTorch's torch.optim.SGD, dampening 0).
#pragma once

#include "qat/optim/optimizer.h"

namespace simaqat {

// State: NAME/momentum.
Optimizer sgd();

}  // namespace simaqat
