// What the executor follows: the order of nodes, and where every value lives.
#pragma once

#include <unordered_map>
#include <vector>

#include "qat/ir/graph.h"

namespace simaqat {

// Where a value's data is.
struct Location {
  enum class Kind { kArena, kInput, kConstant, kVariable } kind = Kind::kArena;
  int64_t offset = 0;             // in the arena
  const Value* source = nullptr;  // the input, constant or variable it is (or takes the place of)
};

// In order; the first `compute_count` change no variable, the rest update variables in place.
struct Schedule {
  std::vector<const Node*> nodes;
  size_t compute_count = 0;
};
Schedule scheduleOf(const Graph& graph);

struct Plan {
  std::vector<const Node*> schedule;
  size_t compute_count = 0;
  std::unordered_map<const Value*, Location> locations;
  // Variables whose next value is in the arena, to be copied when the step is committed.
  std::vector<const Variable*> copies;
  // Of each node of the schedule, where its kernel's scratch memory is: free in front of it and
  // behind.
  std::vector<int64_t> workspace_offsets;
  int64_t arena_bytes = 0;
  // The most bytes that live at once: what no placement can go below.
  int64_t lower_bound_bytes = 0;
};

// Plans a graph all of whose types are static, for so many threads (kernels' scratch memory). A
// value takes its input's place where the operator allows and nothing needs the input any more.
Plan makePlan(const Graph& graph, int threads, bool in_place = true);

}  // namespace simaqat
