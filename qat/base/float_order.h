// Floats in order, for searching an interval of them by halves.
#pragma once

#include <cstdint>
#include <cstring>

namespace simaqat {

// Numbers that are in the order of the floats they stand for, from -kLastFloatKey for -infinity to
// kLastFloatKey for infinity; both zeros have one. Those before and behind stand for NaN.
constexpr int32_t kLastFloatKey = 0x7f800000;

inline float floatOfKey(int32_t key) {
  const auto number = static_cast<uint32_t>(key);
  const uint32_t bits = key < 0 ? 0x80000000u - number : number;
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

// Where a property of floats changes, once it is found: between two neighbours.
constexpr int32_t kFirstBelow = -kLastFloatKey - 1;
constexpr int32_t kFirstAbove = kLastFloatKey + 1;
// So many halvings leave nothing between.
constexpr int kFloatHalvings = 32;
inline int32_t middleKey(int32_t below, int32_t above) {
  const uint32_t between = static_cast<uint32_t>(above) - static_cast<uint32_t>(below);
  return static_cast<int32_t>(static_cast<uint32_t>(below) + between / 2);
}

// The least float with a property that all greater ones have, too; NaN where none has it.
template <class Predicate>
float leastFloat(Predicate&& has) {
  int32_t below = kFirstBelow, above = kFirstAbove;
  for (int i = 0; i < kFloatHalvings; ++i) {
    const int32_t middle = middleKey(below, above);
    (has(floatOfKey(middle)) ? above : below) = middle;
  }
  return floatOfKey(above);
}

// The greatest float with a property that all lesser ones have, too; NaN where none has it.
template <class Predicate>
float greatestFloat(Predicate&& has) {
  int32_t below = kFirstBelow, above = kFirstAbove;
  for (int i = 0; i < kFloatHalvings; ++i) {
    const int32_t middle = middleKey(below, above);
    (has(floatOfKey(middle)) ? below : above) = middle;
  }
  return floatOfKey(below);
}

}  // namespace simaqat
