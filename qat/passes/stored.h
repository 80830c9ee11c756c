// Tensors that are stored in the model, as they are or moved about.
#pragma once

#include "qat/base/tensor.h"
#include "qat/ir/graph.h"

namespace simaqat {

// The present value of a variable or a constant, or of what an operator that only moves elements
// makes of one (exporters write a linear layer as MatMul with Transpose of the weight). Undefined
// for everything else.
Tensor storedTensor(const Graph& graph, const Value* value);

// Whether there is one, without computing it.
bool isStored(const Value* value);

}  // namespace simaqat
