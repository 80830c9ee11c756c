// Rewrites that give an operation the form for which integer kernels exist.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// MatMul of rank 2 with a stored right operand becomes Gemm, with the bias that an Add behind it
// adds.
void matMulsToGemms(Graph& graph);

// ReduceMean over all spatial axes becomes GlobalAveragePool (and Flatten, where the axes go).
void meansToPools(Graph& graph);

// Sum becomes a chain of Adds.
void sumsToAdds(Graph& graph);

// The value takes the place and the name of the node's only output; the node goes.
void replaceNode(Graph& graph, Node* node, Value* by);

}  // namespace simaqat
