// Rewrites that give an operation the form for which integer kernels exist.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// MatMul of rank 2 with a stored right operand becomes Gemm, with the bias that an Add behind it
// adds.
void matMulsToGemms(Graph& graph);

// ReduceMean over all spatial axes becomes GlobalAveragePool (and Flatten, where the axes go).
void meansToPools(Graph& graph);

// MaxPool and AveragePool with ceil_mode are written with padding at the end in its place, and
// padding that counts as an explicit Pad; where extents are not known they stay. ONNX Runtime's
// integer kernel divides windows that ceil_mode cuts off by another count, and where the last window
// would begin beyond the input, its shape inference and its kernels differ by one row. auto_pad
// becomes pads, since ONNX Runtime's AveragePool fails where the kernel is less than the stride.
void plainPools(Graph& graph);

// Sum becomes a chain of Adds.
void sumsToAdds(Graph& graph);

// The value takes the place and the name of the node's only output; the node goes.
void replaceNode(Graph& graph, Node* node, Value* by);

}  // namespace simaqat
