#include "kernels/quantized_gemm.h"

#include <cmath>
#include <limits>

#include "tests/catch.h"
#include "tests/kernels/helpers.h"

namespace simaqat::kernels {
namespace {

void check(int64_t m, int64_t n, int64_t k, float zero_point, bool extreme = false) {
  for (const bool trans_w : {false, true}) {
    CAPTURE(m, n, k, zero_point, trans_w, extreme);
    const QuantizedGemmShape shape{m, n, k, trans_w};
    std::vector<uint8_t> x;
    for (float v : randomFloats(m * k, 1)) {
      x.push_back(extreme ? 255 : static_cast<uint8_t>(std::clamp(128 + 60 * v, 0.0f, 255.0f)));
    }
    std::vector<float> w_scale, w(static_cast<size_t>(n * k));
    for (int64_t j = 0; j < n; ++j) w_scale.push_back(0.001f * static_cast<float>(j % 7 + 1));
    std::vector<int32_t> codes;
    for (float v : randomFloats(n * k, 2)) {
      codes.push_back(extreme ? -128 : static_cast<int32_t>(std::clamp(50 * v, -128.0f, 127.0f)));
    }
    const auto at = [&](int64_t l, int64_t j) {
      return static_cast<size_t>(trans_w ? j * k + l : l * n + j);
    };
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t l = 0; l < k; ++l) {
        w[at(l, j)] = static_cast<float>(codes[at(l, j)]) * w_scale[static_cast<size_t>(j)];
      }
    }
    const std::vector<float> bias = randomFloats(n, 3);
    std::vector<float> expected;
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        int64_t sum = 0;
        for (int64_t l = 0; l < k; ++l) {
          sum += (x[static_cast<size_t>(i * k + l)] - static_cast<int64_t>(zero_point)) *
                 codes[at(l, j)];
        }
        const auto column = static_cast<size_t>(j);
        expected.push_back(static_cast<float>(sum) * (0.05f * w_scale[column]) + bias[column]);
      }
    }
    for (const int threads : {1, 2, 3}) {
      ThreadPool pool(threads);
      auto workspace = dirtyWorkspace(quantizedGemmWorkspace(shape));
      std::vector<float> y(static_cast<size_t>(m * n));
      quantizedGemm(shape, {x.data(), 0.05f, zero_point}, w.data(), w_scale.data(), bias.data(),
                    y.data(), workspace.data(), pool);
      CHECK(sameBits(y, expected));
    }
  }
}

TEST_CASE("products of quantized matrices are exact") {
  check(1, 1, 1, 0);
  check(5, 10, 7, 117);
  check(4, 48, 64, 255);
  check(197, 97, 33, 3);
  check(70, 49, 1024, 128);
  check(3, 5, 0, 9);
  check(0, 5, 4, 9);
}

TEST_CASE("sums at the ends of 32 bits") {
  check(2, 3, 30000, 0, true);
  CHECK(!quantizedGemmFits({1, 1, 40000, false}));
}

TEST_CASE("a scale that is NaN makes the product NaN") {
  const QuantizedGemmShape shape{2, 3, 4, true};
  const std::vector<uint8_t> x(8, 100);
  const std::vector<float> w(12, 0.5f), w_scale(3, 0.01f);
  std::vector<float> y(6);
  ThreadPool pool(1);
  auto workspace = dirtyWorkspace(quantizedGemmWorkspace(shape));
  quantizedGemm(shape, {x.data(), std::numeric_limits<float>::quiet_NaN(), 3}, w.data(),
                w_scale.data(), nullptr, y.data(), workspace.data(), pool);
  for (float v : y) CHECK(std::isnan(v));
}

TEST_CASE("a weight that is NaN makes its column NaN") {
  const QuantizedGemmShape shape{2, 3, 4, true};
  const std::vector<uint8_t> x(8, 100);
  const std::vector<float> w_scale(3, 0.01f);
  std::vector<float> w(12, 0.5f), y(6);
  w[6] = std::numeric_limits<float>::quiet_NaN();
  ThreadPool pool(1);
  auto workspace = dirtyWorkspace(quantizedGemmWorkspace(shape));
  quantizedGemm(shape, {x.data(), 0.1f, 3}, w.data(), w_scale.data(), nullptr, y.data(),
                workspace.data(), pool);
  for (size_t i = 0; i < y.size(); ++i) CHECK(std::isnan(y[i]) == (i % 3 == 1));
}

}  // namespace
}  // namespace simaqat::kernels
