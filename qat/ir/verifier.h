// Checks a graph's invariants; runs before and after every pass.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// Throws an InternalError that names the pass and what is broken: a value used before it is
// defined, a use list that disagrees with the inputs, a wrong number of inputs or outputs, a
// variable whose next value has another type, a gradient-less dangling reference.
void verify(const Graph& graph, const std::string& after);

}  // namespace simaqat
