// How work over [outer, channels, inner] that reduces to one value per channel is cut.
#pragma once

#include <algorithm>
#include <cstdint>

namespace simaqat::kernels {

// A piece is one channel, or where channels are few a range of the outer axis of one channel, so
// that there are pieces for every thread; partial sums are added in the order of the cuts.
struct ChannelPieces {
  // There are fewer than twice as many pieces of cut channels: their partial sums fit on the stack.
  static constexpr int64_t kPieces = 16;
  static constexpr int64_t kMaxPartials = 2 * kPieces;

  ChannelPieces(int64_t outer, int64_t channels)
      : outer(outer),
        channels(channels),
        cuts(channels == 0 ? 1
                           : std::clamp<int64_t>((kPieces + channels - 1) / channels, 1,
                                                 std::max<int64_t>(outer, 1))) {}

  int64_t count() const { return channels * cuts; }
  int64_t channel(int64_t piece) const { return piece / cuts; }
  int64_t begin(int64_t piece) const { return outer * (piece % cuts) / cuts; }
  int64_t end(int64_t piece) const { return outer * (piece % cuts + 1) / cuts; }

  int64_t outer, channels, cuts;
};

}  // namespace simaqat::kernels
