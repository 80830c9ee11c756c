// Counter-based random numbers: a pure function of a key and a counter, so there is no state to
// save and no order in which threads must draw.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace simaqat {

// Philox 4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel Random Numbers: As Easy as 1, 2, 3").
std::array<uint32_t, 4> philox(const std::array<uint32_t, 4>& counter,
                               const std::array<uint32_t, 2>& key);

// A stream of numbers for one purpose, such as (seed, node, step): element i is always the same.
class RandomStream {
 public:
  RandomStream(uint64_t seed, uint64_t purpose, uint64_t step)
      : key_{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)},
        purpose_(purpose ^ (step * 0x9E3779B97F4A7C15ull)) {}

  uint32_t bits(uint64_t element) const {
    const std::array<uint32_t, 4> block = philox(
        {static_cast<uint32_t>(element >> 2), static_cast<uint32_t>(element >> 34),
         static_cast<uint32_t>(purpose_), static_cast<uint32_t>(purpose_ >> 32)},
        key_);
    return block[element & 3];
  }
  // In [0, 1), with 24 bits.
  float uniform(uint64_t element) const {
    return static_cast<float>(bits(element) >> 8) * (1.0f / 16777216.0f);
  }
  // In [0, bound), bound > 0; the bias is below 2^-32 times the bound.
  uint32_t below(uint64_t element, uint32_t bound) const {
    return static_cast<uint32_t>((static_cast<uint64_t>(bits(element)) * bound) >> 32);
  }
  // Standard normal, by Box and Muller's transform of two uniforms.
  float normal(uint64_t element) const;

 private:
  std::array<uint32_t, 2> key_;
  uint64_t purpose_;
};

// A purpose for RandomStream from a name, such as a node's.
uint64_t randomPurpose(std::string_view name);

}  // namespace simaqat
