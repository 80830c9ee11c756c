#include "qat/plan/placement.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>

namespace simaqat {
namespace {

int64_t rounded(int64_t bytes, int64_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

struct Placed {
  int64_t begin, end;  // in the arena
  int64_t first, last;
};

bool isBefore(const Placed& a, const Placed& b) {
  return std::tie(a.begin, a.first) < std::tie(b.begin, b.first);
}

// Neighbours in the arena, one at least, by offset and then by time.
class Block {
 public:
  explicit Block(std::vector<Placed> buffers) : buffers_(std::move(buffers)) { summarize(); }

  size_t size() const { return buffers_.size(); }
  const Placed& back() const { return buffers_.back(); }

  void insert(const Placed& buffer) {
    buffers_.insert(std::upper_bound(buffers_.begin(), buffers_.end(), buffer, isBefore), buffer);
    summarize();
  }

  // Leaves the first half.
  Block takeSecondHalf() {
    const auto middle = buffers_.begin() + static_cast<int64_t>(buffers_.size() / 2);
    Block rest({middle, buffers_.end()});
    buffers_.erase(middle, buffers_.end());
    summarize();
    return rest;
  }

  // Whether so many bytes are free from `offset` on in front of one of the buffers; else `offset`
  // moves to the end of those that live at that time.
  bool hasRoom(int64_t bytes, int64_t first, int64_t last, int64_t& offset) const {
    if (last < first_ || last_ < first) return false;
    const bool meets_all = first <= earliest_last_ && latest_first_ <= last;
    if (meets_all && bytes > widest_gap_ && offset + bytes > buffers_.front().begin) {
      offset = std::max(offset, end_);
      return false;
    }
    for (const Placed& other : buffers_) {
      if (other.last < first || last < other.first) continue;
      if (offset + bytes <= other.begin) return true;
      offset = std::max(offset, other.end);
    }
    return false;
  }

 private:
  void summarize() {
    first_ = latest_first_ = buffers_[0].first;
    last_ = earliest_last_ = buffers_[0].last;
    end_ = buffers_[0].end;
    widest_gap_ = 0;
    for (const Placed& buffer : buffers_) {
      first_ = std::min(first_, buffer.first);
      latest_first_ = std::max(latest_first_, buffer.first);
      last_ = std::max(last_, buffer.last);
      earliest_last_ = std::min(earliest_last_, buffer.last);
      widest_gap_ = std::max(widest_gap_, buffer.begin - end_);
      end_ = std::max(end_, buffer.end);
    }
  }

  std::vector<Placed> buffers_;
  // Of the buffers' time: the earliest and the latest of both ends.
  int64_t first_, latest_first_, earliest_last_, last_;
  int64_t end_;         // the greatest
  int64_t widest_gap_;  // between neighbours, if all live at one time
};

// What is placed. A graph of thousands of layers has tens of thousands of buffers: blocks of
// buffers none of which lives at a time, or all of which do, are passed over as one.
class PlacedBuffers {
 public:
  // The lowest offset with so many bytes that are free from step `first` to step `last`.
  int64_t lowestFree(int64_t bytes, int64_t first, int64_t last) const {
    int64_t offset = 0;
    for (const Block& block : blocks_) {
      if (block.hasRoom(bytes, first, last, offset)) break;
    }
    return offset;
  }

  void insert(const Placed& buffer) {
    if (blocks_.empty()) {
      blocks_.emplace_back(std::vector<Placed>{buffer});
      return;
    }
    const auto block =
        std::partition_point(blocks_.begin(), blocks_.end() - 1,
                             [&](const Block& b) { return isBefore(b.back(), buffer); });
    block->insert(buffer);
    if (block->size() < kMost) return;
    Block rest = block->takeSecondHalf();
    blocks_.insert(block + 1, std::move(rest));
  }

 private:
  static constexpr size_t kMost = 64;  // buffers of a block
  std::vector<Block> blocks_;
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
