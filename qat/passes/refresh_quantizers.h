// What a file stores of its quantizers, brought up to date.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// Gives the stored scales and zero points of observed quantizers and of weights the values that
// follow from the present ranges and weights, so that the written file evaluates alike everywhere.
void refreshQuantizers(Graph& graph);

}  // namespace simaqat
