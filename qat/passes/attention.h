// What stands in front of an attention's Softmax: the scores' scaling and masks.
#pragma once

#include <unordered_map>
#include <unordered_set>

#include "qat/ir/graph.h"

namespace simaqat {

// Maps to the Softmax (or LogSoftmax)
// - each node that scales, biases or masks the scores between the product that makes them and the
//   Softmax: they are quantized at the borders of this function, since a mask's -1e9 would take all
//   codes but one from them;
// - each node of which nothing but such a mask is made.
// Nodes of another function in front of it (a GELU of several nodes, regions.h) are left to that,
// and so are those of functions that are approximated.
std::unordered_map<const Node*, const Node*> insideSoftmaxes(
    const Graph& graph, const std::unordered_set<const Node*>& approximated);

}  // namespace simaqat
