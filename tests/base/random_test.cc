#include "qat/base/random.h"

#include <cmath>

#include "tests/catch.h"

namespace simaqat {
namespace {

using Block = std::array<uint32_t, 4>;

// From the authors' file of known answers (Random123, kat_vectors).
TEST_CASE("Philox gives the known answers") {
  constexpr uint32_t kOnes = 0xffffffffu;
  CHECK(philox({0, 0, 0, 0}, {0, 0}) == Block{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u});
  CHECK(philox({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}) ==
        Block{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu});
  CHECK(philox({0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}, {0xa4093822u, 0x299f31d0u}) ==
        Block{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u});
}

TEST_CASE("streams differ by seed, purpose, step and element, and repeat") {
  const RandomStream stream(1, 2, 3);
  CHECK(stream.bits(7) == RandomStream(1, 2, 3).bits(7));
  CHECK(stream.bits(7) != stream.bits(8));
  CHECK(stream.bits(7) != RandomStream(2, 2, 3).bits(7));
  CHECK(stream.bits(7) != RandomStream(1, 3, 3).bits(7));
  CHECK(stream.bits(7) != RandomStream(1, 2, 4).bits(7));
  // Beyond 32 bits of counter.
  CHECK(stream.bits(7) != stream.bits(7 + (uint64_t{1} << 34)));
  CHECK(randomPurpose("a") != randomPurpose("b"));
}

TEST_CASE("uniform numbers fill [0, 1) and normal ones have mean 0 and variance 1") {
  const RandomStream stream(42, randomPurpose("moments"), 0);
  constexpr int kCount = 100000;
  double sum = 0;
  double normal_sum = 0;
  double normal_squares = 0;
  for (uint64_t i = 0; i < kCount; ++i) {
    const float u = stream.uniform(i);
    REQUIRE((u >= 0 && u < 1));
    REQUIRE(stream.below(i, 10) < 10);
    sum += u;
    const double z = stream.normal(i);
    REQUIRE(std::isfinite(z));
    normal_sum += z;
    normal_squares += z * z;
  }
  CHECK(std::fabs(sum / kCount - 0.5) < 0.005);
  CHECK(std::fabs(normal_sum / kCount) < 0.02);
  CHECK(std::fabs(normal_squares / kCount - 1) < 0.02);
}

}  // namespace
}  // namespace simaqat
