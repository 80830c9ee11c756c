// Cross-layer equalization (Nagel 2019, "Data-Free Quantization").
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// Between two layers (Conv or Gemm) with nothing but BatchNormalization and Relu between, scales each
// channel down in front and up behind, so that the weights of both have the same range there, the
// first one's with its BatchNormalization. What the model computes stays. For a graph before
// scaffolding; returns how many pairs there are. Weights that several nodes use stay.
int equalizeLayers(Graph& graph);

}  // namespace simaqat
