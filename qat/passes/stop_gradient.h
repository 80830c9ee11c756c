// Ends gradients where the user says so.
#pragma once

#include <string>

#include "qat/ir/graph.h"

namespace simaqat {

// Puts a simaqat::StopGradient behind every float value whose name matches the pattern: inputs and
// what nodes compute, as far as it is used. Weights have no such thing: they are frozen. Returns how
// many values matched.
int stopGradients(Graph& graph, const std::string& pattern);

}  // namespace simaqat
