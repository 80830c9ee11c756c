// What follows a convolution of codes, done while its results are in the cache.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// A QuantizedConv sums up for the BatchNormStatistics behind it; one whose result is only
// quantized, behind a Relu or a Clip at most, becomes a QuantizingConv.
void useConvEpilogues(Graph& graph);

}  // namespace simaqat
