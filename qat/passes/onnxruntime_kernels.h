// What ONNX Runtime computes on integers: found by experiment with versions 1.21 and 1.30.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// Whether its QDQ rules give the node, between DequantizeLinear and QuantizeLinear, an integer
// kernel, or none at all: where it only moves codes, or is folded into its neighbour.
bool hasIntegerKernel(const Node& node);

// Whether that kernel wants every float operand quantized, those that are stored too.
bool wantsQuantizedOperands(const Node& node);

// Whether a node that uses the value, directly or behind operators that share its quantizer, has
// one.
bool feedsIntegerKernel(const Value* value);

}  // namespace simaqat
