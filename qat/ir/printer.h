// A graph as text, for people and for tests of passes.
#pragma once

#include <string>

#include "qat/ir/graph.h"

namespace simaqat {

// One line for each input, variable, constant, node and output:
//
//   input %x : float[N, 3]
//   weight %w : float[4, 3] = [0.5, ...]
//   %y : float[N, 4] = Gemm(%x, %w) {transB = 1} "fc"
//   next %running_mean = %bn.1
//   output logits = %y
//
// A value on a quantizer's grid has @NAME behind its type. Tensors are cut after eight elements; a
// name with spaces or punctuation stands in quotes. parser.h reads the same form.
std::string toText(const Graph& graph);

}  // namespace simaqat
