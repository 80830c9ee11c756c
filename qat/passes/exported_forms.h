// What exporters write as several nodes, made one that says what is meant.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// Logarithms whose argument overflows or is rounded to 0 where the result is an ordinary number:
// Log of Sigmoid, of 1 - Sigmoid, of Softmax and of 1 + Exp, by Softplus and LogSoftmax, which are
// finite forward and backward.
void stableLogarithms(Graph& graph);

// Softmax, LogSoftmax and Hardmax over all axes from one on, as opsets before 13 have them, become
// Flatten, the operator over the last axis, and Reshape; where one axis alone is there, it by itself.
void flattenedSoftmaxes(Graph& graph);

// Networks whose exporter kept channels last (tf2onnx): a Transpose of the layout moves behind
// elementwise operators, Pad, Concat, Squeeze and Reduce operators, and goes where it meets its
// inverse, so that Conv, BatchNormalization and activations are neighbours. Nothing changes where
// there would be more Transposes than before.
void cancelTransposes(Graph& graph);

// Stochastic depth and Dropout, drawn by RandomUniformLike, become simaqat::DropPath: a value times
// a draw of 0 or 1 over the probability of 1.
void dropPaths(Graph& graph);

// Weight standardization, written as a BatchNormalization in training mode whose input is a weight:
// its statistics are the weight's own, in evaluation too. It becomes an InstanceNormalization.
void standardizedWeights(Graph& graph);

}  // namespace simaqat
