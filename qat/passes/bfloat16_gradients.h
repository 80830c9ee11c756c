// Backward's products in bfloat16.
#pragma once

#include <unordered_set>

#include "qat/ir/graph.h"

namespace simaqat {

// Of the nodes that are not `forward`'s, those that differentiation added, convolution's gradients
// and products of matrices round their operands to bfloat16; their sums stay float32.
void useBfloat16Gradients(Graph& graph, const std::unordered_set<const Node*>& forward);

}  // namespace simaqat
