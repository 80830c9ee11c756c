#include "qat/plan/placement.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace simaqat {
namespace {

int64_t rounded(int64_t bytes, int64_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

}  // namespace

Placement placeBuffers(const std::vector<BufferLifetime>& buffers, int64_t alignment) {
  std::vector<size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return buffers[a].bytes > buffers[b].bytes; });
  Placement placement;
  placement.offsets.assign(buffers.size(), 0);
  std::vector<size_t> placed;  // by offset
  for (size_t index : order) {
    const BufferLifetime& buffer = buffers[index];
    const int64_t bytes = rounded(buffer.bytes, alignment);
    int64_t offset = 0;
    for (size_t other : placed) {
      const BufferLifetime& o = buffers[other];
      if (o.last < buffer.first || buffer.last < o.first) continue;
      if (offset + bytes <= placement.offsets[other]) break;
      offset = std::max(offset, placement.offsets[other] + rounded(o.bytes, alignment));
    }
    placement.offsets[index] = offset;
    placement.arena_bytes = std::max(placement.arena_bytes, offset + bytes);
    const auto where = std::upper_bound(placed.begin(), placed.end(), offset,
                                        [&](int64_t value, size_t other) {
                                          return value < placement.offsets[other];
                                        });
    placed.insert(where, index);
  }
  return placement;
}

int64_t lowerBound(const std::vector<BufferLifetime>& buffers, int64_t alignment) {
  std::map<int64_t, int64_t> change;
  for (const BufferLifetime& buffer : buffers) {
    change[buffer.first] += rounded(buffer.bytes, alignment);
    change[buffer.last + 1] -= rounded(buffer.bytes, alignment);
  }
  int64_t live = 0;
  int64_t most = 0;
  for (const auto& [step, delta] : change) {
    live += delta;
    most = std::max(most, live);
  }
  return most;
}

}  // namespace simaqat
