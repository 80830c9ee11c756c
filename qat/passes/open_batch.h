// A batch that the exporter fixed, and nothing else.
#pragma once

#include <cstdint>

#include "qat/ir/graph.h"

namespace simaqat {

// Gives the inputs whose first dimension the file fixes to another number the batch `batch`, and
// infers every type anew. An Error names the node that fixes the batch itself: a Reshape to a list
// with it, a constant with an entry for each sample, or an output that keeps the old one.
void openBatch(Graph& graph, int64_t batch);

}  // namespace simaqat
