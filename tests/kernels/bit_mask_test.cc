#include "kernels/bit_mask.h"

#include <cmath>

#include "tests/catch.h"
#include "tests/kernels/helpers.h"

namespace simaqat::kernels {

TEST_CASE("masks hold one bit an element, and let gradients pass by them") {
  for (const int64_t n : {0, 1, 7, 8, 9, 64, 100, 70001}) {
    std::vector<float> x = randomFloats(n, 1);
    if (n > 8) x[3] = NAN, x[5] = INFINITY, x[6] = -INFINITY, x[8] = 0.25f;
    const std::vector<float> dy = randomFloats(n, 2);
    for (const auto& [lo, hi] : {std::pair(-0.5f, 0.25f), std::pair(-INFINITY, 0.0f),
                                 std::pair(0.0f, INFINITY), std::pair(NAN, 1.0f)}) {
      std::vector<uint8_t> mask(static_cast<size_t>(maskBytes(n)), 0xaa);
      maskWithin(x.data(), n, lo, hi, mask.data());
      std::vector<float> expected, bits;
      for (size_t i = 0; i < x.size(); ++i) {
        const bool passes = x[i] >= lo && x[i] <= hi;
        expected.push_back(passes ? dy[i] : 0.0f);
        bits.push_back(passes ? 1.0f : 0.0f);
      }
      if (n % 8 != 0) CHECK(mask.back() >> (n % 8) == 0);
      for (const int64_t begin : {int64_t{0}, n / 2}) {
        std::vector<float> expanded(static_cast<size_t>(n - begin));
        expandMask(mask.data(), begin, n - begin, expanded.data());
        CHECK(expanded == std::vector<float>(bits.begin() + begin, bits.end()));
      }
      for (const int threads : {1, 2, 3}) {
        ThreadPool pool(threads);
        std::vector<float> dx = dy;
        maskGradient(dx.data(), mask.data(), n, dx.data(), pool);
        CHECK(dx == expected);
      }
    }
  }
}

}  // namespace simaqat::kernels
