// LSTM, GRU and RNN as elementary operators.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// Replaces each recurrent node whose number of steps is known by the operators of its steps: a Gemm
// by W for all steps together, one by R for each, activations, and Where with lengths of sequences.
// Parameters stay as they are, cut in front of their Gemm; the batch may be open. Returns whether
// there was such a node.
bool expandRecurrent(Graph& graph);

}  // namespace simaqat
