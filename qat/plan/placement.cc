#include "qat/plan/placement.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace simaqat {
namespace {

int64_t rounded(int64_t bytes, int64_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

struct Placed {
  int64_t begin, end;  // in the arena
  int64_t first, last;
};

// What is placed, by offset, in blocks: a graph of thousands of layers has tens of thousands of
// buffers, and each is held against all.
class PlacedBuffers {
 public:
  // The lowest offset with so many bytes that are free from step `first` to step `last`.
  int64_t lowestFree(int64_t bytes, int64_t first, int64_t last) const {
    int64_t offset = 0;
    for (const std::vector<Placed>& block : blocks_) {
      for (const Placed& other : block) {
        if (other.last < first || last < other.first) continue;
        if (offset + bytes <= other.begin) return offset;
        offset = std::max(offset, other.end);
      }
    }
    return offset;
  }

  void insert(const Placed& buffer) {
    auto block = std::partition_point(
        blocks_.begin(), blocks_.end() - 1,
        [&](const std::vector<Placed>& b) { return b.back().begin < buffer.begin; });
    block->insert(std::upper_bound(block->begin(), block->end(), buffer,
                                   [](const Placed& a, const Placed& b) { return a.begin < b.begin; }),
                  buffer);
    if (block->size() < kBlock) return;
    std::vector<Placed> rest(block->begin() + kBlock / 2, block->end());
    block->resize(kBlock / 2);
    blocks_.insert(block + 1, std::move(rest));
  }

 private:
  static constexpr size_t kBlock = 512;
  std::vector<std::vector<Placed>> blocks_ = std::vector<std::vector<Placed>>(1);
};

}  // namespace

Placement placeBuffers(const std::vector<BufferLifetime>& buffers, int64_t alignment) {
  std::vector<size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return buffers[a].bytes > buffers[b].bytes; });
  Placement placement;
  placement.offsets.assign(buffers.size(), 0);
  PlacedBuffers placed;
  for (size_t index : order) {
    const BufferLifetime& buffer = buffers[index];
    const int64_t bytes = rounded(buffer.bytes, alignment);
    const int64_t offset = placed.lowestFree(bytes, buffer.first, buffer.last);
    placement.offsets[index] = offset;
    placement.arena_bytes = std::max(placement.arena_bytes, offset + bytes);
    placed.insert({offset, offset + bytes, buffer.first, buffer.last});
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
