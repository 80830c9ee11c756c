// Which variables train, what kind each is, and how they start.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "qat/ir/graph.h"
#include "qat/passes/decide_parameters.h"
#include "qat/passes/parameter_kind.h"

namespace simaqat {

// Leaves trainable the weights that a gradient from one of the graph's outputs can reach.
void keepReached(Graph& graph);

// An Error that names the option where one of its patterns or kinds matches no weight.
void requireMatches(const Graph& graph, const char* option,
                    const std::vector<std::string>& patterns);

// Applies --train and --freeze patterns to Variable::trainable, in that order, as requireMatches
// allows. To freeze one of the `constants` is allowed, and changes nothing.
void selectTrainable(Graph& graph, const std::vector<std::string>& train,
                     const std::vector<std::string>& freeze,
                     const std::vector<ConstantInitializer>& constants);

// What trains and what does not, with the reason: a row each of name, shape, kind, "yes" or "no",
// and why. The first row has the titles.
std::vector<std::vector<std::string>> parameterTable(
    const Graph& graph, const std::vector<ConstantInitializer>& constants);

int64_t trainedElements(const Graph& graph);

// Warnings about parameters that an exporter seems to have merged because their values were equal:
// biases and normalizations' scales with one value throughout that several nodes use.
std::vector<std::string> warningsOfMerged(const Graph& graph);

// He initialization (He 2015): normal with variance 2 / fan_in for convolution and linear weights,
// zeros for biases; normalizations, written out ones too, start as the identity with mean 0 and
// variance 1. What does not train, and other parameters, keep their values.
void initializeRandomly(Graph& graph, uint64_t seed);

}  // namespace simaqat
