// Exact integer arithmetic where fake quantization has made it possible.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// Conv of 8-bit fake-quantized values becomes simaqat::QuantizedConv, and Gemm and MatMul with a
// matrix simaqat::QuantizedGemm, which multiply the codes: the same value, rounded once, at several
// times the speed. Gradients that need such a value read its codes. For specialized graphs behind
// storeCodes (store_codes.h) whose weights' quantizers have not been folded; in a training step
// behind differentiation, since gradients go through the float values.
void useIntegerProducts(Graph& graph);

}  // namespace simaqat
