// The scaffolded model as it stands, unfolded, with the rounding of INT32 biases: what finalized
// numbers are held against.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// In a graph specialized for evaluation: adds to each bias that finalize turns into INT32 (a
// BatchNormalization's B where one is folded, else the node's own) what its rounding adds. Nodes
// whose input has no range yet keep theirs.
void roundBiases(Graph& graph);

}  // namespace simaqat
