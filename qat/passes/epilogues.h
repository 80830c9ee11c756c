// What follows a convolution of codes or a BatchNormalization, done while its results are in the
// cache.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// A QuantizedConv sums up for the BatchNormStatistics behind it; one whose result is only
// quantized, behind a Relu or a Clip at most, becomes a QuantizingConv, and a Normalize
// with a line for each channel a NormalizeQuantize.
void useEpilogues(Graph& graph);

}  // namespace simaqat
