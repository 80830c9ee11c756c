// What exporters write as several nodes, made one that says what is meant.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// Logarithms whose argument overflows or is rounded to 0 where the result is an ordinary number:
// Log of Sigmoid, of 1 - Sigmoid, of Softmax and of 1 + Exp, by Softplus and LogSoftmax, which are
// finite forward and backward.
void stableLogarithms(Graph& graph);

// Stochastic depth and Dropout, drawn by RandomUniformLike, become simaqat::DropPath: a value times
// a draw of 0 or 1 over the probability of 1.
void dropPaths(Graph& graph);

// Weight standardization, written as a BatchNormalization in training mode whose input is a weight:
// its statistics are the weight's own, in evaluation too. It becomes an InstanceNormalization.
void standardizedWeights(Graph& graph);

}  // namespace simaqat
