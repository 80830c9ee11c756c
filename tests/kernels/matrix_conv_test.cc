#include "kernels/matrix_conv.h"

#include <cmath>
#include <vector>

#include "kernels/matrix_tiles.h"
#include "kernels/quantized_conv.h"
#include "tests/catch.h"
#include "tests/kernels/conv_shapes.h"
#include "tests/kernels/helpers.h"

namespace simaqat::kernels {
namespace {

struct Values {
  explicit Values(const ConvShape& shape)
      : dy(randomFloats(sizeOfY(shape), 3)), bias(randomFloats(shape.out_channels, 4)) {
    for (float v : randomFloats(sizeOfX(shape), 1)) {
      codes.push_back(static_cast<uint8_t>(std::fabs(v - std::floor(v)) * 256));
    }
    for (int64_t o = 0; o < shape.out_channels; ++o) {
      w_scale.push_back(0.001f * static_cast<float>(o % 7 + 1));
    }
    const std::vector<float> random = randomFloats(sizeOfW(shape), 2);
    const int64_t per_channel = sizeOfW(shape) / shape.out_channels;
    for (size_t i = 0; i < random.size(); ++i) {
      const float unit = random[i] - std::floor(random[i]);
      w.push_back(std::floor(unit * 256 - 128) * w_scale[i / static_cast<size_t>(per_channel)]);
    }
  }
  Codes x() const { return {codes.data(), 0.037f, 117}; }

  std::vector<uint8_t> codes;
  std::vector<float> w, w_scale, dy, bias;
};

// The whole error against the reference's size, as a gradient's.
double relativeError(const std::vector<float>& a, const std::vector<double>& expected) {
  double error = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    error += (a[i] - expected[i]) * (a[i] - expected[i]);
    size += expected[i] * expected[i];
  }
  return std::sqrt(error / size);
}

void checkForward(const ConvShape& shape, const Values& a) {
  std::vector<float> y(static_cast<size_t>(sizeOfY(shape)), NAN);
  std::vector<float> expected(y.size());
  ThreadPool one(1);
  auto reference = dirtyWorkspace(quantizedConvWorkspace(shape, 1));
  quantizedConv(shape, a.x(), a.w.data(), a.w_scale.data(), a.bias.data(), {expected.data()},
                reference.data(), one);
  for (int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    auto workspace = dirtyWorkspace(matrixConvWorkspace(shape, threads));
    matrixConv(shape, a.x(), a.w.data(), a.w_scale.data(), a.bias.data(), {y.data()},
               workspace.data(), pool);
    CHECK(sameBits(y, expected));
  }
}

void checkGradients(const ConvShape& shape, const Values& a) {
  std::vector<double> dx(static_cast<size_t>(sizeOfX(shape))), dw(a.w.size());
  forEachProduct(shape, [&](int64_t xi, int64_t wi, int64_t yi) {
    const auto x = static_cast<size_t>(xi), w = static_cast<size_t>(wi), y = static_cast<size_t>(yi);
    dx[x] += static_cast<double>(a.w[w]) * a.dy[y];
    dw[w] += static_cast<double>((a.codes[x] - a.x().zero_point) * a.x().scale) * a.dy[y];
  });
  std::vector<float> first_dx, first_dw;
  for (int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    std::vector<float> own_dx(dx.size(), NAN), own_dw(dw.size(), NAN);
    auto workspace = dirtyWorkspace(matrixInputGradWorkspace(shape, threads));
    matrixInputGrad(shape, a.dy.data(), a.w.data(), a.w_scale.data(), own_dx.data(),
                    workspace.data(), pool);
    workspace = dirtyWorkspace(matrixWeightGradWorkspace(shape, threads));
    matrixWeightGrad(shape, a.x(), a.dy.data(), own_dw.data(), workspace.data(), pool);
    if (threads == 1) {
      // That of float32 sums of so many products.
      CHECK(relativeError(own_dx, dx) < 1e-6);
      CHECK(relativeError(own_dw, dw) < 1e-6);
      first_dx = own_dx;
      first_dw = own_dw;
    }
    CHECK(sameBits(own_dx, first_dx));
    CHECK(sameBits(own_dw, first_dw));
  }
}

void check(const ConvShape& shape) {
  CAPTURE(shape.batch, shape.in_channels, shape.out_channels, shape.group, shape.in, shape.kernel,
          shape.stride, shape.dilation, shape.pad_begin);
  const Values a(shape);
  checkForward(shape, a);
  checkGradients(shape, a);
}

}  // namespace

TEST_CASE("convolution on matrix tiles is exact forward and has float's accuracy backward") {
  if (!hasMatrixTiles()) {
    WARN("skipped: the processor has no matrix tiles");
    return;
  }
  check(make(2, 3, 16, 1, {1, 32, 32}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
  check(make(2, 3, 20, 1, {1, 40, 40}, {1, 7, 7}, {1, 2, 2}, {0, 3, 3}));
  check(make(3, 16, 32, 1, {1, 32, 32}, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}));
  check(make(5, 64, 64, 1, {1, 8, 8}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
  check(make(2, 128, 40, 1, {1, 7, 7}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
  check(make(3, 16, 32, 1, {1, 32, 32}, {1, 1, 1}, {1, 2, 2}));
  check(make(1, 200, 33, 1, {1, 9, 40}, {1, 1, 1}));
  check(make(2, 8, 8, 1, {1, 70, 130}, {1, 5, 5}, {1, 1, 1}, {0, 2, 2}));
  for (int64_t size : {1, 7, 8, 9, 17}) {
    check(make(2, 5, 9, 1, {1, size, size + 1}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
  }
}

TEST_CASE("convolution on matrix tiles: groups, strides, dilation, other ranks") {
  if (!hasMatrixTiles()) {
    WARN("skipped: the processor has no matrix tiles");
    return;
  }
  check(make(2, 6, 27, 3, {1, 11, 13}, {1, 3, 2}, {1, 2, 3}, {0, 1, 2}, {1, 2, 1}));
  check(make(2, 20, 18, 2, {1, 14, 14}, {1, 4, 5}, {1, 4, 6}, {0, 3, 1}, {1, 6, 4}, {0, 5, 20}));
  check(make(2, 3, 9, 1, {1, 1, 1000}, {1, 1, 9}, {1, 1, 4}, {0, 0, 4}));
  check(make(2, 8, 18, 2, {4, 6, 8}, {3, 1, 2}, {1, 1, 1}, {1, 0, 1}));
}

TEST_CASE("a gradient that is not finite stays so on matrix tiles") {
  if (!hasMatrixTiles()) {
    WARN("skipped: the processor has no matrix tiles");
    return;
  }
  const ConvShape shape = make(1, 16, 16, 1, {1, 6, 6}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1});
  for (const float bad : {NAN, INFINITY}) {
    Values a(shape);
    a.dy[50] = bad;
    ThreadPool pool(1);
    std::vector<float> dx(static_cast<size_t>(sizeOfX(shape))), dw(a.w.size());
    auto workspace = dirtyWorkspace(matrixInputGradWorkspace(shape, 1));
    matrixInputGrad(shape, a.dy.data(), a.w.data(), a.w_scale.data(), dx.data(), workspace.data(),
                    pool);
    workspace = dirtyWorkspace(matrixWeightGradWorkspace(shape, 1));
    matrixWeightGrad(shape, a.x(), a.dy.data(), dw.data(), workspace.data(), pool);
    CHECK(std::count_if(dx.begin(), dx.end(), [](float v) { return !std::isfinite(v); }) > 0);
    CHECK(std::count_if(dw.begin(), dw.end(), [](float v) { return !std::isfinite(v); }) > 0);
  }
}

}  // namespace simaqat::kernels
