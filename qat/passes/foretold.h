// What `prepare` said of the nodes, held against what finalize made of them.
#pragma once

#include <string>
#include <vector>

#include "qat/ir/graph.h"
#include "qat/passes/scaffold.h"

namespace simaqat {

// Metadata of a scaffolded graph: the nodes that will compute on integers, one a line.
constexpr char kForetoldKey[] = "simaqat.integer";
void storeForetold(Graph& scaffolded, const std::vector<PlacementEntry>& placement);

// Whether a node of a finalized graph stands between DequantizeLinear and QuantizeLinear as a
// runtime's integer kernels want it: operands of codes, a weight of stored ones, and a result that
// goes into QuantizeLinear through activations and movers at most.
bool hasIntegerForm(const Graph& finalized, const Node& node);

// The nodes of that list that are float in the finalized graph.
std::vector<std::string> foretoldButFloat(const Graph& finalized);

}  // namespace simaqat
