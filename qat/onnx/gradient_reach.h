// Which values of a file a gradient can reach, by the definitions of its operators alone.
#pragma once

#include <string>
#include <unordered_set>
#include <vector>

#include "qat/onnx/inline.h"

namespace simaqat::onnx_format {

// The values from which a way leads to one of the graph's outputs, through inputs that are data and
// operators that have a gradient. What the body of a control-flow operator reads counts as reached.
std::unordered_set<std::string> reachedByGradient(const std::vector<OpsetNode>& nodes,
                                                  const onnx::GraphProto& graph,
                                                  const OpRegistry& registry);

}  // namespace simaqat::onnx_format
