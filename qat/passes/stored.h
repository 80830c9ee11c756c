// Values that are known once the parameters are: initializers, and what is computed from them.
#pragma once

#include <unordered_set>

#include "qat/base/tensor.h"
#include "qat/ir/graph.h"

namespace simaqat {

// Whether no data goes into the value: it is a variable or a constant, or what operators make of
// such. A linear layer's transposed weight is one, a part of a weight, a weight with its norm taken
// out. Nothing behind a quantizer is, nor what changes between training and evaluation.
bool isStored(const Value* value);

// What it is for the present values of the variables; undefined where it is not stored.
Tensor storedTensor(const Graph& graph, const Value* value);

// All of them, in one walk.
std::unordered_set<const Value*> storedValues(const Graph& graph);
// And those into which, of the data, shapes alone go: how often a parameter is repeated.
std::unordered_set<const Value*> valuesWithoutData(const Graph& graph);

}  // namespace simaqat
