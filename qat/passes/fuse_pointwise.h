// Elementwise operators run as one.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// Gathers elementwise operators (PointwiseTraits) of one shape into simaqat::Pointwise nodes, or into
// the operator that takes their result where that has a fused form (PointwiseQuantize,
// PointwiseObserveRange, PointwiseBatchNormGradient): one pass over memory each, whose intermediate
// values are never stored. A value that several need is computed again by each, backward by what
// stayed from forward, where what it is computed from takes no more memory than the value itself.
void fusePointwise(Graph& graph);

}  // namespace simaqat
