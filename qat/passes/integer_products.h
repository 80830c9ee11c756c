// Exact integer arithmetic where fake quantization has made it possible.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// Conv of 8-bit fake-quantized values becomes simaqat::QuantizedConv, which multiplies the codes:
// the same value, rounded once, at several times the speed. For specialized graphs of static
// types, behind differentiation: gradients go through the float values as before. Depthwise
// convolutions stay, as there are no channels to sum over.
void useIntegerProducts(Graph& graph);

}  // namespace simaqat
