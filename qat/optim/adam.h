// Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019), as PyTorch's torch.optim.Adam
// and torch.optim.AdamW define them.
#pragma once

#include "qat/optim/optimizer.h"

namespace simaqat {

// State of both: NAME/exp_avg and NAME/exp_avg_sq. Weight decay is added to the gradient in Adam,
// and taken from the weight in AdamW.
Optimizer adam();
Optimizer adamw();

}  // namespace simaqat
