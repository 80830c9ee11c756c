// Finds what a node leaves unwritten. With SIMAQAT_POISON=1 every node runs twice, over memory that
// is filled with one byte first and another then; each byte of its outputs must come out the same.
// For tests: a step takes twice the time and allocates.
#pragma once

#include <functional>
#include <vector>

#include "qat/ir/op.h"

namespace simaqat {

// Whether the environment says so.
bool poisonWanted();

// Fills the outputs, unless they take the memory of inputs, and the workspace, and calls run,
// twice. Throws an InternalError that names the node and the first element that differs.
void runPoisoned(const Node& node, const std::vector<TensorView>& inputs,
                 const std::vector<TensorView>& outputs, Span<std::byte> workspace,
                 const std::function<void()>& run);

}  // namespace simaqat
