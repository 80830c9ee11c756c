// Places buffers with known lifetimes in one arena: a pure function.
#pragma once

#include <cstdint>
#include <vector>

namespace simaqat {

// Needed from step `first` to step `last` of the schedule, both included.
struct BufferLifetime {
  int64_t bytes = 0;
  int64_t first = 0;
  int64_t last = 0;
};

struct Placement {
  std::vector<int64_t> offsets;  // one for each buffer, multiples of the alignment
  int64_t arena_bytes = 0;
};

// The largest buffers first, each at the lowest offset where it overlaps no buffer that lives at
// the same time (Pisarchyk and Lee 2020, "greedy by size").
Placement placeBuffers(const std::vector<BufferLifetime>& buffers, int64_t alignment = 64);

// No placement can be smaller: the most bytes that live at one step.
int64_t lowerBound(const std::vector<BufferLifetime>& buffers, int64_t alignment = 64);

}  // namespace simaqat
