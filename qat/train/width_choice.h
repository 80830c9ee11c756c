// Widths of codes, of which the whole costs least within so many bytes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace simaqat {

constexpr std::array<int64_t, 3> kWidths = {4, 8, 16};

// A tensor whose codes get one of kWidths.
struct WidthItem {
  int64_t elements = 0;
  // What each width costs; a narrower one counts as no cheaper than a wider one.
  std::array<double, kWidths.size()> costs{};
  // Its width, 2 to 16 bits, where that is not for choice.
  std::optional<int64_t> pinned;
};

// For each item the width, of kWidths up to `widest`, such that the sum of the costs is least while
// the codes take no more than so many bytes, two of 4 bits or less to a byte. An input Error where
// the narrowest take more: "codes of 4 bits take 20 bytes, and there is room for 10".
std::vector<int64_t> chooseWidths(const std::vector<WidthItem>& items, int64_t code_bytes,
                                  int64_t widest = kWidths.back());

}  // namespace simaqat
