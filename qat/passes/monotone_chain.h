// Functions of one tensor that rise, or fall, in each channel.
#pragma once

#include <optional>
#include <vector>

#include "qat/ir/graph.h"

namespace simaqat {

// The monotone operators (PointwiseTraits) that make `value` of x, first to last, if that is how it
// is made and whatever else they take says the same of all elements of a channel of x; null where
// not.
std::optional<std::vector<const Node*>> monotoneChain(const Value* value, const Value* x);

}  // namespace simaqat
