// The quantizers of a graph that has its FakeQuantize nodes already.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// Sets Value::quantizer from the FakeQuantize nodes of the graph (as a file has them), and along
// the operators that share their input's.
void bindQuantizers(Graph& graph);

}  // namespace simaqat
