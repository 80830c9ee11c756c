// What a parameter is to the operator that uses it.
#pragma once

#include <string>
#include <vector>

#include "qat/ir/graph.h"

namespace simaqat {

enum class ParameterRole {
  kUnused,
  kWeight,  // of a product
  kBias,
  kScale,  // of a normalization, as are the next three
  kShift,
  kMean,
  kVariance,
  kOther,
};

struct ParameterUse {
  ParameterRole role;
  const Node* node;  // null where it is unused
};

// By the first node that uses it, seen through what only moves or quantizes values.
ParameterUse parameterUse(const Variable& variable);

// "weight", "bias" or "norm" (of a normalization).
std::string parameterKind(const Variable& variable);

// Whether an operator uses it as what only a parameter is: the weight or bias of a product, the
// scale or bias of a normalization.
bool servesAsParameter(const Variable& variable);

// Whether a product uses it as its weight, through operators that only move values.
bool reachesWeight(const Value* value);

// True where a name pattern or the kind's name is in the list.
bool matchesParameter(const Variable& variable, const std::vector<std::string>& patterns);

}  // namespace simaqat
