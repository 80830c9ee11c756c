// Rewrites that give an operation the form for which integer kernels exist.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// MatMul of rank 2 with a stored right operand becomes Gemm, with the bias that an Add behind it
// adds.
void matMulsToGemms(Graph& graph);

// ReduceMean over all spatial axes becomes GlobalAveragePool (and Flatten, where the axes go).
void meansToPools(Graph& graph);

// AveragePool with ceil_mode that counts padding is written so that it has none to count: by an
// explicit Pad, or without, where it pads nothing. ONNX Runtime's integer kernel divides the windows
// that ceil_mode cuts off by another count. Where the extents are not known it stays.
void plainAveragePools(Graph& graph);

// Sum becomes a chain of Adds.
void sumsToAdds(Graph& graph);

// The value takes the place and the name of the node's only output; the node goes.
void replaceNode(Graph& graph, Node* node, Value* by);

}  // namespace simaqat
