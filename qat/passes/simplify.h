// Small passes that every pipeline uses.
#pragma once

#include <map>
#include <string>
#include <vector>

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

// An input without a shape gets its rank, where the operators accept one alone (Conv and Gemm do).
void inferInputRanks(Graph& graph);

// CastLike becomes Cast: the type is known though the value that has it is not.
void castLikesToCasts(Graph& graph);

// Removes Identity, Concat and Sum of one input, and Cast to the type that its input has: they only
// rename.
void removeIdentities(Graph& graph);

// Makes a network in double precision, with a weight or an input of it, one in float. Where only
// some arithmetic on the side is in double, it stays.
void narrowDouble(Graph& graph);

// Gives symbols of dimensions their numbers, and infers every type anew. With "N" -> 64, [N, 3]
// becomes [64, 3]. An Error names a node whose output's shape is still not known.
void bindShapes(Graph& graph, const std::map<std::string, int64_t>& symbols);

// Turns the stored graph into the one of a mode, by each operator's own hook.
void specialize(Graph& graph, const Specialization& specialization);

// The nodes of an evaluation's graph whose random numbers an output depends on.
std::vector<const Node*> randomDraws(const Graph& evaluated);
// An Error that names one, for a graph of any mode.
void requireDeterminedEvaluation(const Graph& graph);

}  // namespace simaqat
