#include "kernels/winograd_conv.h"

#include <cmath>
#include <vector>

#include "tests/catch.h"
#include "tests/kernels/conv_shapes.h"
#include "tests/kernels/helpers.h"

namespace simaqat::kernels {
namespace {

double relativeError(const std::vector<float>& a, const std::vector<double>& expected) {
  double error = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    error += (a[i] - expected[i]) * (a[i] - expected[i]);
    size += expected[i] * expected[i];
  }
  return std::sqrt(error / size);
}

struct Operands {
  explicit Operands(const ConvShape& shape)
      : w(randomFloats(sizeOfW(shape), 2)), dy(randomFloats(sizeOfY(shape), 3)) {
    for (float v : randomFloats(sizeOfX(shape), 1)) {
      codes.push_back(static_cast<uint8_t>(std::fabs(v - std::floor(v)) * 256));
    }
  }
  Codes x() const { return {codes.data(), 0.037f, 117}; }
  double xAt(size_t i) const {
    return static_cast<double>((codes[i] - x().zero_point) * x().scale);
  }

  std::vector<uint8_t> codes;
  std::vector<float> w, dy;
};

struct Gradients {
  Gradients(const ConvShape& shape, const Operands& a, int threads)
      : dx(a.codes.size(), NAN), dw(a.w.size(), NAN) {
    ThreadPool pool(threads);
    auto workspace = dirtyWorkspace(winogradInputGradWorkspace(shape, threads));
    winogradInputGrad(shape, a.dy.data(), a.w.data(), dx.data(), workspace.data(), pool);
    workspace = dirtyWorkspace(winogradWeightGradWorkspace(shape, threads));
    winogradWeightGrad(shape, a.x(), a.dy.data(), dw.data(), workspace.data(), pool);
  }
  std::vector<float> dx, dw;
};

void check(const ConvShape& shape) {
  INFO(shape.batch << " x " << shape.in_channels << " to " << shape.out_channels << ", "
                   << shape.in[1] << " x " << shape.in[2] << ", groups " << shape.group);
  REQUIRE(winogradFits(shape));
  const Operands a(shape);
  std::vector<double> dx(a.codes.size()), dw(a.w.size());
  forEachProduct(shape, [&](int64_t xi, int64_t wi, int64_t yi) {
    const auto x = static_cast<size_t>(xi), w = static_cast<size_t>(wi),
               y = static_cast<size_t>(yi);
    dx[x] += static_cast<double>(a.w[w]) * a.dy[y];
    dw[w] += a.xAt(x) * a.dy[y];
  });
  const Gradients one(shape, a, 1);
  CHECK(relativeError(one.dx, dx) < 1e-6);
  CHECK(relativeError(one.dw, dw) < 1e-6);
  for (int threads : {2, 3}) {
    const Gradients other(shape, a, threads);
    CHECK(sameBits(other.dx, one.dx));
    CHECK(sameBits(other.dw, one.dw));
  }
}

TEST_CASE("gradients by Winograd's tiles agree with naive sums") {
  check(make(2, 16, 16, 1, {1, 32, 32}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
  check(make(2, 24, 24, 1, {1, 8, 8}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
  check(make(3, 32, 40, 1, {1, 16, 16}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
  check(make(2, 70, 33, 1, {1, 28, 28}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
  check(make(9, 64, 64, 1, {1, 4, 4}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
}

TEST_CASE("gradients by Winograd's tiles: odd sizes, paddings, groups, images in a row") {
  check(make(3, 24, 32, 1, {1, 7, 7}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
  check(make(2, 24, 24, 1, {1, 9, 14}, {1, 3, 3}, {1, 1, 1}, {0, 0, 2}));
  check(make(2, 48, 64, 2, {1, 5, 11}, {1, 3, 3}, {1, 1, 1}, {0, 1, 0}));
  check(make(1, 24, 24, 1, {1, 3, 3}, {1, 3, 3}));
  check(make(2, 24, 24, 1, {3, 6, 5}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
  check(make(1, 24, 24, 1, {1, 61, 130}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
  check(make(2, 300, 270, 1, {1, 7, 7}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
  check(make(3, 48, 64, 2, {1, 15, 30}, {1, 3, 3}, {1, 1, 1}, {0, 0, 2}));
  check(make(2, 24, 24, 1, {3, 17, 29}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
  check(make(1, 24, 300, 1, {1, 16, 16}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
  for (const auto& [rows, columns] :
       {std::pair<int64_t, int64_t>{5, 8}, {3, 12}, {7, 7}, {1, 8}, {4, 4}, {4, 16}, {3, 15}}) {
    check(make(33, 24, 24, 1, {1, rows, columns}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
  }
}

TEST_CASE("what Winograd's tiles are not for") {
  CHECK_FALSE(winogradFits(make(2, 15, 64, 1, {1, 8, 8}, {1, 3, 3})));
  CHECK_FALSE(winogradFits(make(2, 64, 64, 1, {1, 8, 8}, {1, 3, 3}, {1, 2, 2})));
  CHECK_FALSE(winogradFits(make(2, 64, 64, 1, {1, 8, 8}, {1, 5, 5})));
  CHECK_FALSE(
      winogradFits(make(2, 64, 64, 1, {1, 9, 9}, {1, 3, 3}, {1, 1, 1}, {0, 0, 0}, {1, 2, 2})));
  CHECK(winogradFits(make(2, 512, 512, 1, {1, 7, 7}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1})));
  CHECK_FALSE(winogradFits(make(2, 1024, 512, 1, {1, 7, 7}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1})));
  CHECK_FALSE(winogradFits(make(0, 64, 64, 1, {1, 8, 8}, {1, 3, 3})));
}

TEST_CASE("a gradient that is not finite stays so in Winograd's tiles") {
  const int64_t side = GENERATE(8, 16);
  const ConvShape shape = make(2, 24, 24, 1, {1, side, side}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1});
  Operands a(shape);
  a.dy[100] = NAN;
  const Gradients g(shape, a, 2);
  forEachProduct(shape, [&](int64_t xi, int64_t wi, int64_t yi) {
    if (yi != 100) return;
    CHECK(std::isnan(g.dx[static_cast<size_t>(xi)]));
    CHECK(std::isnan(g.dw[static_cast<size_t>(wi)]));
  });
}

}  // namespace
}  // namespace simaqat::kernels
