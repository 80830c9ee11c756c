// --input-shape NAME:3x224x224: what a model leaves open in a sample's shape.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "qat/ir/graph.h"

namespace simaqat {

// The dimensions of each named input, without the batch. A usage Error for another syntax; an input
// Error where the model has no such input, or says otherwise.
std::map<std::string, std::vector<int64_t>> parseInputShapes(const std::vector<std::string>& texts,
                                                             const Graph& model);

}  // namespace simaqat
