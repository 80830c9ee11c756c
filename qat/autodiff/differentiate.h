// Reverse-mode differentiation of a graph, as further nodes of the same graph.
#pragma once

#include <unordered_map>
#include <vector>

#include "qat/ir/graph.h"

namespace simaqat {

// Adds the nodes of the gradient of `loss`, a float scalar, and returns for each of `parameters`
// that a gradient reaches its value. All types must be static. Asks each operator's definition for
// its rule; one that has none ends the gradient. An input Error names the node where an operator
// that cannot be differentiated stands between loss and parameter.
std::unordered_map<const Value*, Value*> differentiate(Graph& graph, Value* loss,
                                                       const std::vector<Value*>& parameters);

}  // namespace simaqat
