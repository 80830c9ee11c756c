// What finalize makes of a node's weight, the BatchNormalization behind it and its bias: the
// numbers, for the pass that puts them into the graph. docs/NUMERICS.md, "Folding".
#pragma once

#include <cstdint>
#include <vector>

#include "qat/base/tensor.h"
#include "qat/ir/graph.h"
#include "qat/passes/fake_quantized.h"

namespace simaqat {

struct FoldedWeight {
  Tensor codes;                      // of the quantizer's type, in the weight's own layout
  std::vector<float> scales;         // one for each output channel
  std::vector<int32_t> biases;       // at scale input_scale * scales[c]
  std::vector<double> float_biases;  // what they stand for
  float input_scale = 0;             // 0 for a float input
  bool integer_bias = false;         // else the float ones ship
  bool has_one_scale = false;        // all channels have the same, which ships once
};

// With the BatchNormalization `batch_norm` folded in, where it is not null. All that is folded is
// stored. A bias ships as INT32 behind a quantized input, unless the recipe asked for float ones
// or input and weight have 16 bits both. An Error names a node whose bias is not one stored number
// for each channel.
FoldedWeight foldWeight(const Graph& graph, const WeightedNode& weighted, const Node* batch_norm);

// Whether what the node adds is stored, and one number for each output channel or for all: Gemm's C
// may be computed, or of one number for each row.
bool hasBiasByChannel(const Node& node);

// Whether this is a BatchNormalization behind a quantized input that, with nothing that it folds
// into, becomes a depthwise Conv, with one weight of 1 a channel before folding. One that the
// recipe leaves in float does not.
bool becomesDepthwise(const Graph& graph, const Node& node);
FoldedWeight foldBatchNorm(const Graph& graph, const Node& batch_norm);

}  // namespace simaqat
