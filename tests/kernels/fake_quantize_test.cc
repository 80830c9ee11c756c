#include "kernels/fake_quantize.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/isa.h"
#include "tests/catch.h"
#include "tests/kernels/helpers.h"

namespace simaqat::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
const float kNan = std::numeric_limits<float>::quiet_NaN();

// The formula, one element, without a vector in sight.
float code(float x, float scale, float zero_point) {
  return std::nearbyint(x / scale) + zero_point;
}
float expected(float x, float scale, float zero_point, float qmin, float qmax) {
  float q = code(x, scale, zero_point);
  if (q < qmin) q = qmin;
  if (q > qmax) q = qmax;
  return (q - zero_point) * scale;
}
float expectedGrad(float x, float dy, float scale, float zero_point, float qmin, float qmax) {
  const float q = code(x, scale, zero_point);
  return q >= qmin && q <= qmax ? dy : 0.0f;
}

// Random values, ties, and all that is odd.
std::vector<float> values(int64_t n, float scale) {
  std::vector<float> x = randomFloats(n, 7, 40 * scale);
  const float odd[] = {0.0f,
                       -0.0f,
                       kInfinity,
                       -kInfinity,
                       kNan,
                       1e-42f,
                       -1e-42f,
                       3e38f,
                       -3e38f,
                       16777217.0f,
                       0.5f * scale,
                       -0.5f * scale,
                       0.49999997f * scale};
  for (size_t i = 0; i < x.size(); ++i) {
    if (i % 5 == 0) x[i] = (static_cast<float>(i % 600) - 300 + 0.5f) * scale;  // ties
    if (i % 11 == 0) x[i] = odd[i / 11 % std::size(odd)];
  }
  return x;
}

const std::vector<int64_t> kSizes{0, 1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 1000, 70001};

}  // namespace

TEST_CASE("ties go to even, by division") {
  ThreadPool pool(1);
  const std::vector<float> x{0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 126.5f, 127.5f, -128.5f};
  std::vector<float> y(x.size());
  fakeQuantize(x.data(), 9, 1.0f, 0.0f, -127, 127, y.data(), pool);
  CHECK(y == std::vector<float>({0, 2, 2, 0, -2, -2, 126, 127, -127}));
  // 1.05 / 0.7 rounds to a tie that 1.05 * (1 / 0.7) misses, or the other way round.
  for (int i = 0; i < 1000; ++i) {
    const float scale = 0.1f + 0.001f * static_cast<float>(i);
    const float v = 2.5f * scale;
    float out;
    fakeQuantize(&v, 1, scale, 0, -127, 127, &out, pool);
    REQUIRE(out == std::nearbyint(v / scale) * scale);
  }
}

TEST_CASE("fake quantization and its gradient, on every instruction set") {
  for (Isa isa : available()) {
    const KernelTable& table = kernelsOf(isa);
    for (int64_t n : kSizes) {
      for (size_t offset : {0, 1, 3}) {
        const std::vector<float> x = values(n + 3, 0.037f), dy = randomFloats(n + 3, 8);
        std::vector<float> y(x.size() + 1, 77), dx(x.size() + 1, 77), ey = y, edx = dx;
        table.fakeQuantize(x.data() + offset, n, 0.037f, 100, 0, 255, y.data() + offset);
        table.fakeQuantizeGrad(x.data() + offset, dy.data() + offset, n, 0.037f, 100, 0, 255,
                               dx.data() + offset);
        for (size_t i = offset; i < offset + static_cast<size_t>(n); ++i) {
          ey[i] = expected(x[i], 0.037f, 100, 0, 255);
          edx[i] = expectedGrad(x[i], dy[i], 0.037f, 100, 0, 255);
          if (std::isnan(x[i])) REQUIRE(std::isnan(y[i]));
        }
        CAPTURE(isaName(isa), n, offset);
        CHECK(sameBits(y, ey));
        CHECK(sameBits(dx, edx));
      }
    }
  }
}

TEST_CASE("codes, on every instruction set") {
  for (Isa isa : available()) {
    for (int64_t n : kSizes) {
      const std::vector<float> x = values(n, 0.037f);
      std::vector<uint8_t> u(x.size()), eu(x.size());
      std::vector<int8_t> s(x.size()), es(x.size());
      kernelsOf(isa).quantizeUint8(x.data(), n, 0.037f, 100, 0, 255, u.data());
      kernelsOf(isa).quantizeInt8(x.data(), n, 0.037f, 0, -127, 127, s.data());
      for (size_t i = 0; i < x.size(); ++i) {
        const bool nan = std::isnan(x[i]);
        eu[i] = static_cast<uint8_t>(nan ? 0 : std::clamp(code(x[i], 0.037f, 100), 0.0f, 255.0f));
        es[i] =
            static_cast<int8_t>(nan ? -127 : std::clamp(code(x[i], 0.037f, 0), -127.0f, 127.0f));
      }
      CAPTURE(isaName(isa), n);
      CHECK(sameBits(u, eu));
      CHECK(sameBits(s, es));
    }
  }
}

TEST_CASE("the range, on every instruction set") {
  for (Isa isa : available()) {
    for (int64_t n : kSizes) {
      std::vector<float> x = randomFloats(n + 1, 5);
      float lo, hi;
      kernelsOf(isa).minMax(x.data() + 1, n, &lo, &hi);
      if (n == 0) {
        CHECK(lo == kInfinity);
        CHECK(hi == -kInfinity);
        continue;
      }
      CHECK(lo == *std::min_element(x.begin() + 1, x.end()));
      CHECK(hi == *std::max_element(x.begin() + 1, x.end()));
      // Wherever the NaN stands.
      for (int64_t at = 1; at <= n; at += std::max<int64_t>(1, n / 37)) {
        const float kept = std::exchange(x[static_cast<size_t>(at)], kNan);
        kernelsOf(isa).minMax(x.data() + 1, n, &lo, &hi);
        REQUIRE(std::isnan(lo));
        REQUIRE(std::isnan(hi));
        x[static_cast<size_t>(at)] = kept;
      }
      const std::vector<float> zeros(static_cast<size_t>(n), -0.0f);
      kernelsOf(isa).minMax(zeros.data(), n, &lo, &hi);
      CHECK(!std::signbit(lo));
      CHECK(!std::signbit(hi));
    }
  }
}

TEST_CASE("the range of a large array, by tiles") {
  ThreadPool pool(3);
  for (int64_t n : {1, 32768, 200001, 4000003}) {
    std::vector<float> x = randomFloats(n, 5);
    float lo, hi;
    minMax(x.data(), n, &lo, &hi, pool);
    CHECK(lo == *std::min_element(x.begin(), x.end()));
    CHECK(hi == *std::max_element(x.begin(), x.end()));
    x[static_cast<size_t>(n / 3)] = kNan;
    minMax(x.data(), n, &lo, &hi, pool);
    CHECK(std::isnan(lo));
    CHECK(std::isnan(hi));
  }
}

TEST_CASE("per channel, with inner axes of every kind") {
  for (int64_t inner : {1, 5, 64, 1000}) {
    for (bool with_zero_point : {false, true}) {
      const int64_t outer = 13, channels = 77, n = outer * channels * inner;
      const std::vector<float> x = values(n, 0.05f), dy = randomFloats(n, 9);
      std::vector<float> scale = randomFloats(channels, 1), zero_point(scale.size());
      for (size_t c = 0; c < scale.size(); ++c) {
        scale[c] = 0.01f + std::abs(scale[c]) * 0.05f;
        zero_point[c] = static_cast<float>(c % 9);
      }
      const float* z = with_zero_point ? zero_point.data() : nullptr;
      std::vector<float> ey(x.size()), edx(x.size());
      std::vector<int8_t> codes(x.size());
      std::vector<float> absmax(scale.size()), eabsmax(scale.size());
      for (size_t i = 0; i < x.size(); ++i) {
        const size_t c = i / static_cast<size_t>(inner) % scale.size();
        const float zc = with_zero_point ? zero_point[c] : 0;
        ey[i] = expected(x[i], scale[c], zc, -127, 127);
        edx[i] = expectedGrad(x[i], dy[i], scale[c], zc, -127, 127);
        if (!(std::abs(x[i]) <= eabsmax[c]) && !std::isnan(eabsmax[c])) {
          eabsmax[c] = std::abs(x[i]);
        }
      }
      for (int threads : {1, 3}) {
        ThreadPool pool(threads);
        std::vector<float> y(x.size()), dx(x.size());
        fakeQuantizePerChannel(x.data(), outer, channels, inner, scale.data(), z, -127, 127,
                               y.data(), pool);
        fakeQuantizeGradPerChannel(x.data(), dy.data(), outer, channels, inner, scale.data(), z,
                                   -127, 127, dx.data(), pool);
        CHECK(sameBits(y, ey));
        CHECK(sameBits(dx, edx));
        quantizePerChannel(x.data(), outer, channels, inner, scale.data(), z, -127, 127,
                           codes.data(), pool);
        dequantizePerChannel(codes.data(), outer, channels, inner, scale.data(), z, y.data(), pool);
        for (size_t i = 0; i < x.size(); ++i) {
          if (!std::isnan(x[i])) REQUIRE(y[i] == ey[i]);
        }
        channelAbsMax(x.data(), outer, channels, inner, absmax.data(), pool);
        for (size_t c = 0; c < absmax.size(); ++c) {
          REQUIRE(std::isnan(absmax[c]) == std::isnan(eabsmax[c]));
          if (!std::isnan(absmax[c])) REQUIRE(absmax[c] == eabsmax[c]);
        }
      }
    }
  }
}

TEST_CASE("codes of every type come back") {
  ThreadPool pool(2);
  const std::vector<float> x = randomFloats(70000, 3, 20);
  std::vector<float> y(x.size()), direct(x.size());
  const auto check = [&](auto zero, float zero_point, float qmin, float qmax) {
    std::vector<decltype(zero)> codes(x.size());
    quantize(x.data(), 70000, 0.1f, zero_point, qmin, qmax, codes.data(), pool);
    dequantize(codes.data(), 70000, 0.1f, zero_point, y.data(), pool);
    fakeQuantize(x.data(), 70000, 0.1f, zero_point, qmin, qmax, direct.data(), pool);
    CHECK(sameBits(y, direct));
  };
  check(uint8_t{}, 128, 0, 255);
  check(int8_t{}, -3, -128, 127);
  check(uint16_t{}, 32768, 0, 65535);
  check(int16_t{}, 0, -32767, 32767);
  const std::vector<int32_t> bias{-1000000, 0, 7};
  dequantize(bias.data(), 3, 0.5f, 0, y.data(), pool);
  CHECK(y[0] == -500000);
  CHECK(y[2] == 3.5f);
}

TEST_CASE("a line, bounds and quantization together are what they are one after the other") {
  LineToCodes line{0.021f, 11, 2, 250, 0.3f, -1.7f, 0.05f};
  for (const auto& [lo, hi] :
       {std::pair(-kInfinity, kInfinity), std::pair(0.0f, 2.0f), std::pair(0.0f, kInfinity),
        std::pair(-0.1f, 30.0f), std::pair(kNan, 1.0f), std::pair(0.0f, kNan)}) {
    line.lo = lo;
    line.hi = hi;
    for (int64_t n : kSizes) {
      const std::vector<float> x = values(n, line.scale);
      std::vector<uint8_t> expected_codes(x.size());
      bool has_nan = false;
      for (size_t i = 0; i < x.size(); ++i) {
        float y = (x[i] - line.center) * line.factor;
        y += line.offset;
        has_nan |= std::isnan(y);
        float q = code(hi < std::max(y, lo) ? hi : std::max(y, lo), line.scale, line.zero_point);
        if (std::isnan(y)) q = line.qmin;
        expected_codes[i] = static_cast<uint8_t>(std::clamp(q, line.qmin, line.qmax));
      }
      for (Isa isa : available()) {
        CAPTURE(lo, hi, n, isaName(isa));
        std::vector<uint8_t> codes(x.size());
        CHECK(kernelsOf(isa).quantizeLine(x.data(), n, line, codes.data()) == has_nan);
        // A NaN has no code that is worth anything.
        for (size_t i = 0; i < x.size(); ++i) {
          if (std::isnan((x[i] - line.center) * line.factor)) codes[i] = expected_codes[i];
        }
        CHECK(codes == expected_codes);
      }
    }
  }
}

}  // namespace simaqat::kernels
