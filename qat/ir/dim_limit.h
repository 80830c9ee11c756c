// The sizes that a file may name.
#pragma once

#include <cstdint>

namespace simaqat {

// Far above what any tensor has, and so far below int64's limit that a dimension times a stride or
// a pad does not overflow.
constexpr int64_t kMostDim = int64_t{1} << 40;

// Of pads, strides, dilations and the like.
constexpr int64_t kMostExtent = int64_t{1} << 22;

inline bool isPossibleDim(int64_t dim) { return dim >= 0 && dim <= kMostDim; }
inline bool isPossibleExtent(int64_t number, int64_t least) {
  return number >= least && number <= kMostExtent;
}

}  // namespace simaqat
