// Parts of a Concat that share a scale and should not.
#pragma once

#include <string>
#include <vector>

#include "qat/ir/graph.h"

namespace simaqat {

// Of a scaffolded graph with its ranges set: a line for each Concat with a part that stays below the
// range of the quantizer behind it by a factor of 16 or more, so that the part has 4 bits fewer. It
// names the part, and the override that keeps the parts apart. What is known of a part is a bound of
// its magnitude: by its own quantizer, by the function that makes it, or by weights and the range of
// what they multiply. A part whose bound is not less may still be smaller.
std::vector<std::string> concatsOfUnequalRanges(const Graph& scaffolded);

}  // namespace simaqat
