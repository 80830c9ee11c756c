// The rounding of INT32 biases, seen before finalize.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// In a graph specialized for evaluation: adds to each bias that finalize will turn into INT32 (a
// BatchNormalization's B where one is folded, else the node's own) what its rounding will add, so
// that a scaffolded model evaluates to what ships. Nodes whose input has no range yet keep theirs.
void roundBiases(Graph& graph);

}  // namespace simaqat
