// Which variables train, what kind each is, and how they start.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "qat/ir/graph.h"

namespace simaqat {

// "weight", "bias" or "norm" (gamma and beta of a normalization), by the operators that use it.
std::string parameterKind(const Variable& variable);

// Leaves trainable the weights that a gradient from one of the graph's outputs can reach.
void keepReached(Graph& graph);

// An Error that names the option where one of its patterns or kinds matches no weight.
void requireMatches(const Graph& graph, const char* option,
                    const std::vector<std::string>& patterns);

// Applies --train and --freeze patterns to Variable::trainable, in that order, as requireMatches
// allows.
void selectTrainable(Graph& graph, const std::vector<std::string>& train,
                     const std::vector<std::string>& freeze);

// True where a name pattern or the kind's name is in the list.
bool matchesParameter(const Variable& variable, const std::vector<std::string>& patterns);

// He initialization (He 2015): normal with variance 2 / fan_in for convolution and linear weights,
// zeros for biases; normalizations start as the identity with mean 0 and variance 1.
void initializeRandomly(Graph& graph, uint64_t seed);

}  // namespace simaqat
