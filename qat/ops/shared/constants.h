// Inputs whose values are known when compiling.
#pragma once

#include <optional>

#include "qat/ir/op.h"

namespace simaqat::ops {

// The value of a constant input of one element; absent where the input is, or is not constant.
std::optional<double> constantScalar(const Node& node, size_t input);

}  // namespace simaqat::ops
