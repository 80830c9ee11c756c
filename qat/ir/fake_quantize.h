// The one operator of the scaffolding, as passes and operators see it.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// The inputs of simaqat::FakeQuantize; those behind the zero point are there where the observer
// keeps them.
enum FakeQuantizeInput {
  kFakeQuantizeX,
  kFakeQuantizeScale,
  kFakeQuantizeZeroPoint,
  kFakeQuantizeRangeMin,  // observed ranges
  kFakeQuantizeRangeMax,
  kFakeQuantizeHistogram,  // range_search.h
  kFakeQuantizeHistogramLimit,
  kFakeQuantizeOffset,       // lsq_plus: the value of code qmin
  kFakeQuantizeFoldedScale,  // folded_lsq: the one scale, of which those of the channels are made
};

bool isFakeQuantize(const Node& node);

// The BatchNormalization that folds into the node, or null. A MatMul's channels are its last axis,
// which is a BatchNormalization's where both have rank 2.
Node* batchNormBehind(const Graph& graph, const Node& node);
// The one behind the only node that uses a weight's quantizer, a StopGradient between them or not;
// or null.
Node* foldedBatchNorm(const Node& fake_quantize);

// Where the scale is that a quantizer learns.
FakeQuantizeInput learnedScaleInput(const QuantizerSpec& spec);

// Whether nothing has set an observed range or a learned scale yet, by the variables' values.
bool isUnset(const Node& fake_quantize);

// Brings the variables of a quantizer that learns to what a training step makes of them: the scale
// to its magnitude, since gradient steps may take it below zero, within its limit, and the zero point to that of the
// offset (zeroPointOfOffset).
void settleLearned(Node& fake_quantize);

}  // namespace simaqat
