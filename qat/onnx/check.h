// What an exported file promises.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// Throws unless the graph holds standard operators alone, and, where the installed ONNX library
// knows the opset, its checker accepts the file.
void checkStandardModel(const Graph& graph, int opset);

}  // namespace simaqat
