#include "kernels/quantized_conv.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/code_product.h"
#include "kernels/isa.h"
#include "kernels/quantized_winograd.h"
#include "tests/catch.h"
#include "tests/kernels/conv_shapes.h"
#include "tests/kernels/helpers.h"

namespace simaqat::kernels {
namespace {

// Integers in [low, high].
std::vector<int32_t> randomIntegers(int64_t n, uint32_t seed, int32_t low, int32_t high) {
  std::vector<int32_t> out;
  for (float v : randomFloats(n, seed)) {
    const float unit = std::fabs(v) - std::floor(std::fabs(v));
    out.push_back(low + static_cast<int32_t>(unit * static_cast<float>(high - low + 1)));
  }
  return out;
}

std::vector<uint8_t> randomCodes(int64_t n, uint32_t seed) {
  const std::vector<int32_t> codes = randomIntegers(n, seed, 0, 255);
  return std::vector<uint8_t>(codes.begin(), codes.end());
}

struct Quantized {
  Quantized(const ConvShape& shape, int32_t zero_point, uint32_t seed)
      : shape(shape),
        zero_point(zero_point),
        x_codes(randomCodes(sizeOfX(shape), seed)),
        w_codes(randomIntegers(sizeOfW(shape), seed + 1, -128, 127)),
        bias(randomFloats(shape.out_channels, seed + 2)) {
    for (int64_t o = 0; o < shape.out_channels; ++o) {
      w_scale.push_back(0.001f * static_cast<float>(o + 1));
    }
    const int64_t per_channel = shape.out_channels == 0 ? 1 : sizeOfW(shape) / shape.out_channels;
    for (size_t i = 0; i < w_codes.size(); ++i) {
      const size_t o = i / static_cast<size_t>(per_channel);
      w.push_back(static_cast<float>(w_codes[i]) * w_scale[o]);
    }
  }

  std::vector<float> run(int threads) const {
    ThreadPool pool(threads);
    auto workspace = dirtyWorkspace(quantizedConvWorkspace(shape, threads));
    std::vector<float> y(static_cast<size_t>(sizeOfY(shape)), NAN);
    quantizedConv(shape, {x_codes.data(), x_scale, static_cast<float>(zero_point)}, w.data(),
                  w_scale.data(), bias.data(), {y.data()}, workspace.data(), pool);
    return y;
  }

  // The header's formula: the sum in integers, then one rounding to float and the scale.
  std::vector<float> expected() const {
    std::vector<int64_t> sums(static_cast<size_t>(sizeOfY(shape)));
    forEachProduct(shape, [&](int64_t xi, int64_t wi, int64_t yi) {
      sums[static_cast<size_t>(yi)] +=
          static_cast<int64_t>(x_codes[static_cast<size_t>(xi)] - zero_point) *
          w_codes[static_cast<size_t>(wi)];
    });
    std::vector<float> y;
    for (size_t i = 0; i < sums.size(); ++i) {
      const size_t o = i / static_cast<size_t>(product(shape.out)) %
                       static_cast<size_t>(shape.out_channels);
      y.push_back(static_cast<float>(sums[i]) * (x_scale * w_scale[o]) + bias[o]);
    }
    return y;
  }

  ConvShape shape;
  int32_t zero_point;
  float x_scale = 0.0371f;
  std::vector<uint8_t> x_codes;
  std::vector<int32_t> w_codes;
  std::vector<float> w, w_scale, bias;
};

void check(const ConvShape& shape) {
  CAPTURE(shape.batch, shape.in_channels, shape.out_channels, shape.group, shape.in, shape.kernel,
          shape.stride, shape.dilation, shape.pad_begin);
  for (const int32_t zero_point : {0, 117, 255}) {
    const Quantized q(shape, zero_point, 7);
    const std::vector<float> expected = q.expected();
    for (int threads : {1, 2, 3}) CHECK(sameBits(q.run(threads), expected));
  }
}

}  // namespace

TEST_CASE("quantized convolution is exact") {
  check(make(2, 3, 16, 1, {1, 32, 32}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
  check(make(3, 16, 32, 1, {1, 32, 32}, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}));
  check(make(5, 64, 64, 1, {1, 8, 8}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
  check(make(3, 16, 32, 1, {1, 32, 32}, {1, 1, 1}, {1, 2, 2}));
  check(make(1, 700, 3, 1, {1, 9, 40}, {1, 1, 1}));
  check(make(2, 8, 8, 1, {1, 70, 130}, {1, 5, 5}, {1, 1, 1}, {0, 2, 2}));
  for (int64_t size : {1, 7, 8, 9, 17}) {
    check(make(2, 5, 6, 1, {1, size, size + 1}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
  }
}

TEST_CASE("quantized convolution: groups, strides, dilation, other ranks") {
  check(make(2, 6, 9, 3, {1, 11, 13}, {1, 3, 2}, {1, 2, 3}, {0, 1, 2}, {1, 2, 1}));
  check(make(2, 12, 12, 12, {1, 19, 19}, {1, 5, 5}, {1, 2, 2}, {0, 2, 2}));
  check(make(2, 20, 10, 2, {1, 14, 14}, {1, 4, 5}, {1, 4, 6}, {0, 3, 1}, {1, 6, 4}, {0, 5, 20}));
  check(make(2, 3, 4, 1, {1, 1, 1000}, {1, 1, 9}, {1, 1, 4}, {0, 0, 4}));
  check(make(2, 4, 6, 2, {4, 6, 8}, {3, 1, 2}, {1, 1, 1}, {1, 0, 1}));
  check(make(0, 3, 4, 1, {1, 8, 8}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
}

TEST_CASE("quantized 3x3 convolution is exact in Winograd's tiles") {
  const auto check_tiles = [](const ConvShape& shape) {
    CHECK(quantizedWinogradFits(shape) == (kernels().isa < Isa::kAvx512Vnni));
    check(shape);
  };
  const std::array<int64_t, 3> window{1, 3, 3}, ones{1, 1, 1};
  check_tiles(make(2, 16, 16, 1, {1, 28, 28}, window, ones, {0, 1, 1}));
  check_tiles(make(3, 17, 18, 1, {1, 7, 7}, window, ones, {0, 1, 1}));
  check_tiles(make(2, 33, 31, 1, {1, 9, 14}, window, ones, {0, 0, 2}));
  check_tiles(make(1, 48, 51, 3, {1, 5, 61}, window, ones, {0, 1, 0}));
  check_tiles(make(1, 16, 16, 1, {1, 3, 3}, window));
  check_tiles(make(2, 16, 20, 1, {3, 6, 5}, window, ones, {0, 1, 1}));
  check_tiles(make(1, 16, 16, 1, {1, 61, 130}, window, ones, {0, 1, 1}));
  check_tiles(make(9, 64, 40, 1, {1, 4, 4}, window, ones, {0, 1, 1}));
  // Several images in a block, with planes that end within a tile.
  for (const int64_t batch : {16, 33}) {
    for (const auto& [rows, columns] :
         {std::pair<int64_t, int64_t>{5, 8}, {3, 12}, {7, 7}, {1, 8}, {4, 4}, {6, 5}}) {
      check_tiles(make(batch, 16, 17, 1, {1, rows, columns}, window, ones, {0, 1, 1}));
    }
  }
  CHECK_FALSE(quantizedWinogradFits(make(2, 15, 16, 1, {1, 8, 8}, window)));
  CHECK_FALSE(quantizedWinogradFits(make(2, 16, 16, 1, {1, 8, 8}, window, {1, 2, 2})));
  CHECK_FALSE(quantizedWinogradFits(make(2, 16, 16, 1, {1, 8, 8}, {1, 3, 5})));
  CHECK_FALSE(quantizedWinogradFits(make(0, 16, 16, 1, {1, 8, 8}, window)));
}

TEST_CASE("quantized 3x3 convolution is exact at the ends of its codes") {
  const ConvShape shape = make(1, 1024, 16, 1, {1, 5, 5}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1});
  for (const int32_t zero_point : {0, 255}) {
    for (const int32_t weight : {-128, 127}) {
      Quantized q(shape, zero_point, 5);
      std::fill(q.x_codes.begin(), q.x_codes.end(), static_cast<uint8_t>(255 - zero_point));
      std::fill(q.w_codes.begin(), q.w_codes.end(), weight);
      for (size_t i = 0; i < q.w.size(); ++i) {
        q.w[i] = static_cast<float>(weight) * q.w_scale[i / (1024 * 9)];
      }
      CHECK(sameBits(q.run(2), q.expected()));
    }
  }
}

TEST_CASE("quantized depthwise convolution is exact") {
  for (const ConvShape& shape : depthwiseShapes()) check(shape);
}

TEST_CASE("a scale that is NaN makes the result NaN") {
  Quantized q(make(1, 4, 3, 1, {1, 6, 6}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}), 100, 3);
  q.x_scale = std::numeric_limits<float>::quiet_NaN();
  for (float v : q.run(2)) CHECK(std::isnan(v));
}

TEST_CASE("a weight that is NaN makes its channel NaN") {
  for (const ConvShape& shape : {make(1, 4, 3, 1, {1, 6, 6}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}),
                                 make(1, 16, 18, 1, {1, 6, 6}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}),
                                 make(1, 3, 3, 3, {1, 6, 6}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1})}) {
    Quantized q(shape, 100, 3);
    const size_t first = q.w.size() / 3;
    // One, and a whole channel: sums of what is no code would leave 32 bits.
    const size_t count =
        GENERATE(0, 1) == 0 ? 1 : first / static_cast<size_t>(shape.out_channels / 3);
    std::fill_n(q.w.begin() + static_cast<int64_t>(first), count,
                std::numeric_limits<float>::quiet_NaN());
    const std::vector<float> y = q.run(1);
    const size_t channel = static_cast<size_t>(shape.out_channels / 3);
    for (size_t i = 0; i < y.size(); ++i) CHECK(std::isnan(y[i]) == (i / 36 == channel));
  }
}

TEST_CASE("sums that could leave 32 bits are not for it") {
  CHECK(quantizedConvFits(make(1, 32000, 1, 1, {1, 1, 1}, {1, 1, 1})));
  CHECK(!quantizedConvFits(make(1, 8000, 1, 1, {1, 3, 3}, {1, 3, 3})));
}

TEST_CASE("every instruction set multiplies codes alike, at their ends too") {
  constexpr int64_t kTaps = 50;
  std::vector<uint32_t> source(kTaps + 100, 0xffffffffu);
  std::vector<uint32_t> weights(kTaps * kCodeChannels, 0x80808080u);
  const std::vector<int32_t> bits = randomIntegers(400, 9, 0, 1 << 30);
  for (size_t i = 60; i < source.size(); ++i) source[i] = static_cast<uint32_t>(bits[i]) * 3;
  for (size_t i = 80; i < weights.size(); ++i) {
    weights[i] = static_cast<uint32_t>(bits[i + 150]) * 3;
  }
  std::vector<int64_t> offset(kTaps);
  for (size_t k = 0; k < offset.size(); ++k) offset[k] = static_cast<int64_t>(k * 7 % 50);
  for (int64_t vectors = 1; vectors <= kCodeVectors; ++vectors) {
    CodeProduct p{source.data(), offset.data(), kTaps, weights.data(), {}, vectors};
    for (int64_t v = 0; v < kCodeVectors; ++v) p.start[v] = 2 * std::min(v, vectors - 1);
    for (const Isa isa : available()) {
      CodeSums sums;
      kernelsOf(isa).multiplyCodes(p, sums);
      for (int64_t c = 0; c < kCodeChannels; ++c) {
        for (int64_t v = 0; v < vectors; ++v) {
          for (int64_t i = 0; i < kCodeLanes; ++i) {
            int64_t expected = 0;
            for (int64_t k = 0; k < kTaps; ++k) {
              const uint32_t x =
                  source[static_cast<size_t>(p.start[v] + offset[static_cast<size_t>(k)] + i)];
              const uint32_t w = weights[static_cast<size_t>(k * kCodeChannels + c)];
              for (int byte = 0; byte < 4; ++byte) {
                expected += static_cast<int64_t>(x >> (8 * byte) & 0xff) *
                            static_cast<int8_t>(w >> (8 * byte) & 0xff);
              }
            }
            REQUIRE(sums[c][v][i] == expected);
          }
        }
      }
    }
  }
}

}  // namespace simaqat::kernels
