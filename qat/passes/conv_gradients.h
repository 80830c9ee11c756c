// Both gradients of a convolution from one pass over what they have in common.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// A ConvInputGradient and the ConvWeightGradient of the same 1x1 convolution, which has more
// channels behind than in front, become ConvGradients: what they have in common, dy, is what memory
// is read for.
void joinConvGradients(Graph& graph);

}  // namespace simaqat
