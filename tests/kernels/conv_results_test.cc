#include "kernels/conv_results.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/batch_norm.h"
#include "kernels/isa.h"
#include "kernels/quantized_conv.h"
#include "tests/catch.h"
#include "tests/kernels/conv_shapes.h"
#include "tests/kernels/helpers.h"

namespace simaqat::kernels {
namespace {

struct Operands {
  explicit Operands(const ConvShape& shape)
      : shape(shape), bias(randomFloats(shape.out_channels, 3)) {
    for (float v : randomFloats(sizeOfX(shape), 1)) {
      codes.push_back(static_cast<uint8_t>(std::clamp(128 + 60 * v, 0.0f, 255.0f)));
    }
    for (float v : randomFloats(sizeOfW(shape), 2)) w.push_back(std::nearbyint(40 * v) * 0.01f);
    w_scale.assign(static_cast<size_t>(shape.out_channels), 0.01f);
  }
  void run(const ConvResults& results, int threads) const {
    ThreadPool pool(threads);
    auto workspace = dirtyWorkspace(quantizedConvWorkspace(shape, threads));
    quantizedConv(shape, {codes.data(), 0.02f, 128}, w.data(), w_scale.data(), bias.data(), results,
                  workspace.data(), pool);
  }

  ConvShape shape;
  std::vector<uint8_t> codes;
  std::vector<float> w, w_scale, bias;
};

std::vector<ConvShape> shapes() {
  std::vector<ConvShape> all = depthwiseShapes();
  all.push_back(make(3, 16, 33, 1, {1, 20, 23}, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}));
  all.push_back(make(2, 16, 96, 1, {1, 56, 56}, {1, 1, 1}));
  all.push_back(make(16, 40, 9, 1, {1, 7, 7}, {1, 1, 1}));
  all.push_back(make(3, 16, 33, 1, {1, 20, 23}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
  all.push_back(make(9, 32, 16, 1, {1, 7, 7}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
  all.push_back(make(33, 16, 18, 1, {1, 5, 8}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
  all.push_back(make(16, 16, 16, 1, {1, 7, 7}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
  all.push_back(make(5, 6, 9, 3, {1, 11, 13}, {1, 3, 2}, {1, 2, 3}, {0, 1, 2}));
  all.push_back(make(2, 4, 6, 2, {4, 6, 8}, {3, 1, 2}, {1, 1, 1}, {1, 0, 1}));
  return all;
}

TEST_CASE("moments of a convolution's results are theirs") {
  for (const ConvShape& shape : shapes()) {
    CAPTURE(shape.batch, shape.in_channels, shape.out_channels, shape.group, shape.in,
            shape.kernel);
    const Operands operands(shape);
    std::vector<float> y(static_cast<size_t>(sizeOfY(shape)));
    operands.run({y.data()}, 2);
    const int64_t plane = product(shape.out);
    const size_t size = static_cast<size_t>(shape.out_channels * kMomentsOfChannel);
    std::vector<double> first;
    for (const int threads : {1, 2, 3}) {
      std::vector<float> again(y.size());
      std::vector<double> moments(size);
      ConvResults results;
      results.y = again.data();
      results.moments = moments.data();
      operands.run(results, threads);
      CHECK(sameBits(again, y));
      if (first.empty()) first = moments;
      CHECK(moments == first);
    }
    for (int64_t c = 0; c < shape.out_channels && !y.empty(); ++c) {
      double sum = 0, squares = 0;
      float lo = std::numeric_limits<float>::infinity(), hi = -lo;
      for (int64_t n = 0; n < shape.batch; ++n) {
        for (int64_t i = 0; i < plane; ++i) {
          const float v = y[static_cast<size_t>((n * shape.out_channels + c) * plane + i)];
          sum += v;
          squares += static_cast<double>(v) * v;
          lo = std::min(lo, v);
          hi = std::max(hi, v);
        }
      }
      const double* moments = &first[static_cast<size_t>(c * kMomentsOfChannel)];
      CHECK(std::fabs(moments[0] - sum) <= 1e-11 * (1 + squares));
      CHECK(std::fabs(moments[1] - squares) <= 1e-11 * squares);
      CHECK(moments[2] == lo);
      CHECK(moments[3] == hi);
    }
  }
}

TEST_CASE("codes of a convolution's results are those of the floats") {
  for (const ConvShape& shape : shapes()) {
    CAPTURE(shape.batch, shape.in_channels, shape.out_channels, shape.group, shape.in,
            shape.kernel);
    const Operands operands(shape);
    std::vector<float> y(static_cast<size_t>(sizeOfY(shape)));
    operands.run({y.data()}, 1);
    for (const float hi : {0.7f, std::numeric_limits<float>::infinity()}) {
      std::vector<uint8_t> expected(y.size());
      for (size_t i = 0; i < y.size(); ++i) {
        const float v = std::min(std::max(y[i], 0.0f), hi);
        expected[i] =
            static_cast<uint8_t>(std::clamp(std::nearbyint(v / 0.01f) + 3.0f, 0.0f, 200.0f));
      }
      for (const int threads : {1, 2}) {
        std::vector<uint8_t> got(y.size(), 77);
        ConvCodes codes{got.data(), {0.01f, 3, 0, 200}};
        codes.line.lo = 0;
        codes.line.hi = hi;
        ConvResults results;
        results.codes = &codes;
        operands.run(results, threads);
        CHECK(got == expected);
        CHECK(!codes.has_nan);
      }
    }
  }
}

TEST_CASE("a result that no code tells is told") {
  Operands operands(make(1, 4, 3, 1, {1, 6, 6}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
  operands.bias[1] = std::numeric_limits<float>::quiet_NaN();
  std::vector<uint8_t> got(static_cast<size_t>(sizeOfY(operands.shape)));
  ConvCodes codes{got.data(), {0.01f, 3, 0, 255}};
  ConvResults results;
  results.codes = &codes;
  operands.run(results, 1);
  CHECK(codes.has_nan);
}

TEST_CASE("statistics from moments are those from the values") {
  constexpr int64_t kChannels = 5;
  const BatchNormShape shape{7, kChannels, 33};
  std::vector<float> x = randomFloats(7 * kChannels * 33, 4);
  for (size_t i = 0; i < x.size(); ++i) x[i] += static_cast<float>(i / 33 % kChannels) * 10;
  const std::vector<float> gamma = randomFloats(kChannels, 5), beta = randomFloats(kChannels, 6);
  ThreadPool pool(2);
  std::vector<double> moments(kChannels * kMomentsOfChannel);
  channelMoments(x.data(), 7, kChannels, 33, moments.data(), pool);
  const auto run = [&](bool from_moments) {
    std::vector<std::vector<float>> out(8, std::vector<float>(kChannels));
    const BatchNormLine line{out[0].data(), out[1].data(), out[2].data()};
    const BatchNormStatistics statistics{out[3].data(), out[4].data(), out[5].data(), out[6].data(),
                                         out[7].data()};
    if (from_moments) {
      batchNormStatistics(shape, moments.data(), gamma.data(), beta.data(), 1e-5f, line,
                          statistics);
    } else {
      batchNormStatistics(shape, x.data(), gamma.data(), beta.data(), 1e-5f, line, statistics,
                          pool);
    }
    return out;
  };
  const auto expected = run(false), got = run(true);
  for (size_t k = 0; k < expected.size(); ++k) {
    for (size_t c = 0; c < kChannels; ++c) {
      CHECK(std::fabs(got[k][c] - expected[k][c]) <= 1e-6f * (1 + std::fabs(expected[k][c])));
    }
  }
  CHECK(got[6] == expected[6]);
  CHECK(got[7] == expected[7]);
}

}  // namespace
}  // namespace simaqat::kernels
