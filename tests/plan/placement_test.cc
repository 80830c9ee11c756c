#include "qat/plan/placement.h"

#include <algorithm>

#include "qat/base/random.h"
#include "tests/catch.h"

namespace simaqat {
namespace {

constexpr int64_t kAlignment = 64;

void checkNoOverlap(const std::vector<BufferLifetime>& buffers, const Placement& placement) {
  REQUIRE(placement.offsets.size() == buffers.size());
  for (size_t a = 0; a < buffers.size(); ++a) {
    REQUIRE(placement.offsets[a] >= 0);
    REQUIRE(placement.offsets[a] % kAlignment == 0);
    REQUIRE(placement.offsets[a] + buffers[a].bytes <= placement.arena_bytes);
    for (size_t b = 0; b < a; ++b) {
      const bool together =
          buffers[a].first <= buffers[b].last && buffers[b].first <= buffers[a].last;
      if (!together || buffers[a].bytes == 0 || buffers[b].bytes == 0) continue;
      const bool apart = placement.offsets[a] + buffers[a].bytes <= placement.offsets[b] ||
                         placement.offsets[b] + buffers[b].bytes <= placement.offsets[a];
      REQUIRE(apart);
    }
  }
}

// Lifetimes as networks have them: most are short, those that backward reads are nested.
std::vector<BufferLifetime> randomBuffers(uint64_t seed, uint32_t most = 80) {
  const RandomStream random(seed, randomPurpose("buffers"), 0);
  const int64_t count = 1 + random.below(0, most);
  const bool nested = seed % 2 == 0;
  std::vector<BufferLifetime> buffers;
  for (int64_t i = 0; i < count; ++i) {
    const auto at = [&](uint64_t k, uint32_t bound) {
      return static_cast<int64_t>(random.below(static_cast<uint64_t>(8 * i + 8) + k, bound));
    };
    BufferLifetime buffer;
    buffer.bytes = at(0, 4) == 0 ? at(1, 100000) : at(1, 500);
    buffer.first = nested ? i : at(2, 100);
    buffer.last = nested && at(3, 2) == 0 ? 2 * count - i : buffer.first + at(4, 5);
    buffers.push_back(buffer);
  }
  return buffers;
}

// Each at the lowest offset, by looking at all that are placed.
std::vector<int64_t> lowestOffsets(const std::vector<BufferLifetime>& buffers) {
  const auto rounded = [](int64_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  };
  std::vector<size_t> order(buffers.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return buffers[a].bytes > buffers[b].bytes; });
  std::vector<int64_t> offsets(buffers.size(), 0);
  for (size_t k = 0; k < order.size(); ++k) {
    const BufferLifetime& buffer = buffers[order[k]];
    int64_t& offset = offsets[order[k]];
    for (size_t j = 0; j < k;) {
      const BufferLifetime& other = buffers[order[j]];
      const int64_t begin = offsets[order[j]], end = begin + rounded(other.bytes);
      const bool meets = other.first <= buffer.last && buffer.first <= other.last && offset < end &&
                         begin < offset + rounded(buffer.bytes);
      offset = meets ? end : offset;
      j = meets ? 0 : j + 1;
    }
  }
  return offsets;
}

TEST_CASE("each buffer is at the lowest offset that is free as long as it lives") {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    INFO("seed " << seed);
    const std::vector<BufferLifetime> buffers = randomBuffers(seed, 600);
    CHECK(placeBuffers(buffers, kAlignment).offsets == lowestOffsets(buffers));
  }
}

TEST_CASE("buffers that live at one time never overlap, and the arena is close to the bound") {
  double sum = 0;
  double worst = 0;
  constexpr int kRounds = 400;
  for (uint64_t seed = 0; seed < kRounds; ++seed) {
    INFO("seed " << seed);
    const std::vector<BufferLifetime> buffers = randomBuffers(seed);
    const Placement placement = placeBuffers(buffers, kAlignment);
    checkNoOverlap(buffers, placement);
    const int64_t bound = lowerBound(buffers, kAlignment);
    REQUIRE(placement.arena_bytes >= bound);
    const double factor =
        bound == 0 ? 1 : static_cast<double>(placement.arena_bytes) / static_cast<double>(bound);
    sum += factor;
    worst = std::max(worst, factor);
  }
  // Greedy by size proves no factor; these are measured, with room.
  CHECK(worst <= 1.5);
  CHECK(sum / kRounds <= 1.05);
}

TEST_CASE("small cases by hand") {
  CHECK(placeBuffers({}).arena_bytes == 0);
  CHECK(lowerBound({}) == 0);
  // One after the other: one place for both.
  CHECK(placeBuffers({{100, 0, 1}, {100, 2, 3}}).arena_bytes == 128);
  // Both ends of a lifetime count.
  CHECK(placeBuffers({{100, 0, 1}, {100, 1, 3}}).arena_bytes == 256);
  CHECK(lowerBound({{100, 0, 1}, {100, 1, 3}}) == 256);
  // The small one fits into the gap that the middle one leaves.
  const Placement gap = placeBuffers({{640, 0, 9}, {320, 0, 3}, {64, 4, 9}});
  CHECK(gap.offsets == std::vector<int64_t>{0, 640, 640});
  CHECK(gap.arena_bytes == 960);
}

TEST_CASE("the same buffers are placed the same") {
  const std::vector<BufferLifetime> buffers = randomBuffers(5);
  CHECK(placeBuffers(buffers).offsets == placeBuffers(buffers).offsets);
}

}  // namespace
}  // namespace simaqat
