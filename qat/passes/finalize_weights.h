// The part of finalize that turns weights into codes.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// Every node with a fake-quantized constant weight gets INT8 codes, the BatchNormalization behind
// it folded in, and an INT32 bias where its input is quantized (a float one where it is not).
void lowerWeights(Graph& graph);

// Every BatchNormalization that is left behind a quantized input of rank 3 to 5 becomes a depthwise
// Conv with one weight a channel.
void lowerBatchNorms(Graph& graph);

}  // namespace simaqat
