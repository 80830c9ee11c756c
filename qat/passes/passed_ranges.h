// Gradients that pass or do not, decided by a range of what lies in front.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// A BatchNormTrainingGradient or BatchNormFrozenGradient whose dy went through gradients that let
// it pass or not (ReluGradient, ClipGradient, FakeQuantizeGradient), decided by a monotone function
// of BatchNormalization's own x, becomes a PassedBatchNormGradient or
// PassedBatchNormFrozenGradient: it compares x with a range of each channel, which PassedRange
// finds once a step, instead of computing that function again for each element.
void usePassedRanges(Graph& graph);

}  // namespace simaqat
