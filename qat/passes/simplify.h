// Small passes that every pipeline uses.
#pragma once

#include <map>
#include <string>

#include "qat/base/thread_pool.h"
#include "qat/ir/graph.h"
#include "qat/ir/op.h"

namespace simaqat {

// Removes nodes that nothing needs, then values, variables and quantizers that nothing uses.
void removeDeadCode(Graph& graph);

// Evaluates nodes all of whose inputs are constant, and Shape and Size of static shapes.
// Random operators stay.
void foldConstants(Graph& graph);
// The same, but DequantizeLinear of stored codes stays: that is how files keep quantized numbers.
void foldAllButCodes(Graph& graph);
// The same, and functions of SamplePoints stay (approximate.h), as files keep those.
void foldAllButStored(Graph& graph);

// Removes Identity, and Concat and Sum of one input, which only rename.
void removeIdentities(Graph& graph);

// Makes a network in double precision, with a weight or an input of it, one in float. Where only
// some arithmetic on the side is in double, it stays.
void narrowDouble(Graph& graph);

// Gives symbols of dimensions their numbers, and infers every type anew. With "N" -> 64, [N, 3]
// becomes [64, 3]. An Error names a node whose output's shape is still not known.
void bindShapes(Graph& graph, const std::map<std::string, int64_t>& symbols);

// Turns the stored graph into the one of a mode, by each operator's own hook.
void specialize(Graph& graph, const Specialization& specialization);

// An Error that names a node whose random numbers an output depends on in evaluation.
void requireDeterminedEvaluation(const Graph& graph);

}  // namespace simaqat
