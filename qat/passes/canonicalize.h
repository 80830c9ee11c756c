// What every model goes through once it is read.
#pragma once

#include <string>
#include <vector>

#include "qat/ir/graph.h"
#include "qat/passes/batch_norm_state.h"

namespace simaqat {

// Narrows double precision, separates BatchNormalization's state, removes Identity, folds constants,
// gives logarithms their stable forms, recognizes stochastic depth, drops dead code and decides
// which BatchNormalizations train. Returns warnings for the user.
std::vector<std::string> canonicalize(Graph& graph, BatchNormPolicy policy);

// Keeps the named outputs alone and drops what only the others needed. An Error where a name is
// none of the graph's outputs.
void selectOutputs(Graph& graph, const std::vector<std::string>& names);

}  // namespace simaqat
