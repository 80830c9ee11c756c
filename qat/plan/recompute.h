// Activation checkpointing: what backward needs is computed again instead of kept (Chen 2016,
// "Training Deep Nets with Sublinear Memory Cost").
#pragma once

#include <cstddef>
#include <cstdint>

#include "qat/ir/graph.h"

namespace simaqat {

struct Recomputation {
  size_t nodes = 0;           // that run twice
  double operations = 0;      // what that adds
  double all_operations = 0;  // of the step without it
};

// Lets values that wait for backward be computed again right in front of it, one after the other,
// from what is there at that time or is smaller, until the plan's arena takes no more than
// `arena_bytes`. Chosen is what frees most bytes for its time. All numbers stay the same, bit for
// bit. An input Error says how far it came.
Recomputation recomputeWithin(Graph& graph, int64_t arena_bytes, int threads);

}  // namespace simaqat
