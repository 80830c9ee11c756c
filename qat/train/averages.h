// Averages of the weights over the steps (EMA): what is saved instead of the last weights.
#pragma once

#include <map>
#include <string>

#include "qat/ir/graph.h"

namespace simaqat {

// Adds to a step's graph, behind its update, a variable NAME/average for each one that trains and
// for BatchNormalization's statistics: average += (1 - d) * (value - average) after each step, with
// d = min(decay, (1 + t) / (10 + t)) after t steps, so that the start is soon forgotten.
void addAverages(Graph& step, float decay);

// The state with each variable that has an average at its average.
std::map<std::string, Tensor> averaged(std::map<std::string, Tensor> state);

}  // namespace simaqat
