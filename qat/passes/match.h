// What passes ask of a value when they look for a form.
#pragma once

#include <optional>
#include <string>

#include "qat/ir/graph.h"

namespace simaqat {

// The node of that operator that makes the value, or null.
const Node* producer(const Value* value, const std::string& op_type);

// The number that a constant of one element holds.
std::optional<double> constantNumber(const Value* value);

}  // namespace simaqat
