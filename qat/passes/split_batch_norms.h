// BatchNormalization in training as statistics and elementwise operators.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// BatchNormTraining becomes simaqat::BatchNormStatistics and simaqat::Normalize, BatchNormalization
// with running statistics simaqat::BatchNormLine and Normalize: the same arithmetic. An observer
// behind a monotone function of BatchNormTraining's y (Relu, Clip) need not see y: the range
// follows from the least and the greatest x of each channel, exactly, since rounding is monotone,
// too.
void splitBatchNorms(Graph& graph);

}  // namespace simaqat
