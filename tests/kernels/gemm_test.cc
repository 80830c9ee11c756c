#include "kernels/gemm.h"

#include <array>
#include <limits>

#include "tests/catch.h"
#include "tests/kernels/helpers.h"

namespace simaqat::kernels {
namespace {

std::vector<float> run(Operands operands, bool ta, bool tb, int64_t m, int64_t n, int64_t k,
                       float alpha, float beta, const std::vector<float>& a,
                       const std::vector<float>& b, std::vector<float> c, int threads) {
  ThreadPool pool(threads);
  auto workspace = dirtyWorkspace(gemmWorkspace(operands, m, n, k, threads));
  gemm(operands, ta, tb, m, n, k, alpha, a.data(), b.data(), beta, c.data(), workspace.data(),
       pool);
  return c;
}

void check(Operands operands, int64_t m, int64_t n, int64_t k, float alpha, float beta) {
  const auto operand = [&](float v) { return roundedTo(operands, v); };
  for (int form = 0; form < 4; ++form) {
    const bool ta = form & 1, tb = form & 2;
    CAPTURE(operands == Operands::kFloat, m, n, k, ta, tb, alpha, beta);
    const std::vector<float> a = randomFloats(m * k, 1), b = randomFloats(k * n, 2);
    const std::vector<float> c = beta == 0
                                     ? std::vector<float>(static_cast<size_t>(m * n),
                                                          std::numeric_limits<float>::quiet_NaN())
                                     : randomFloats(m * n, 3);
    std::vector<double> expected(c.size());
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t l = 0; l < k; ++l) {
          sum += static_cast<double>(operand(a[static_cast<size_t>(ta ? l * m + i : i * k + l)])) *
                 operand(alpha * b[static_cast<size_t>(tb ? j * k + l : l * n + j)]);
        }
        const auto at = static_cast<size_t>(i * n + j);
        expected[at] = sum + (beta == 0 ? 0.0 : static_cast<double>(beta) * c[at]);
      }
    }
    const std::vector<float> one = run(operands, ta, tb, m, n, k, alpha, beta, a, b, c, 1);
    CHECK(relativeError(one, expected) < 3e-6);
    CHECK(sameBits(run(operands, ta, tb, m, n, k, alpha, beta, a, b, c, 2), one));
    CHECK(sameBits(run(operands, ta, tb, m, n, k, alpha, beta, a, b, c, 3), one));
  }
}

}  // namespace

TEST_CASE("gemm agrees with a naive one") {
  for (const Operands operands : {Operands::kFloat, Operands::kBfloat16}) {
    for (int64_t size : {1, 3, 4, 7, 8, 9, 31, 33, 65}) {
      check(operands, size, size + 1, size + 2, 1, 0);
    }
    check(operands, 1, 1000, 512, 1, 0);
    check(operands, 64, 10, 64, 1, 1);
    check(operands, 257, 70, 40, 0.5f, -2);
    check(operands, 1, 1, 1500, 1, 0.25f);
    check(operands, 130, 300, 513, 1, 0);
    check(operands, 5, 6, 1027, 2, 1);
  }
}

TEST_CASE("many products at once have the bits of one by one") {
  for (const Operands operands : {Operands::kFloat, Operands::kBfloat16}) {
    for (const auto& [count, m, n, k] :
         {std::array<int64_t, 4>{48, 33, 20, 70}, {3, 260, 40, 300}, {2, 5, 6, 0}}) {
      const std::vector<float> a = randomFloats(2 * m * k, 1), b = randomFloats(count * k * n, 2);
      const std::array<int64_t, 2> steps = {m * k, k * n};
      // A repeats.
      const auto offsets = [](const void* context, int64_t i) {
        const auto& step = *static_cast<const std::array<int64_t, 2>*>(context);
        return GemmOffsets{i % 2 * step[0], i * step[1]};
      };
      std::vector<float> expected;
      for (int64_t i = 0; i < count; ++i) {
        const std::vector<float> one =
            run(operands, false, false, m, n, k, 1, 0,
                {a.begin() + i % 2 * m * k, a.begin() + (i % 2 + 1) * m * k},
                {b.begin() + i * k * n, b.begin() + (i + 1) * k * n},
                std::vector<float>(static_cast<size_t>(m * n)), 1);
        expected.insert(expected.end(), one.begin(), one.end());
      }
      for (const int threads : {1, 2, 3}) {
        ThreadPool pool(threads);
        auto workspace = dirtyWorkspace(gemmsWorkspace(operands, count, m, n, k, threads));
        std::vector<float> c(expected.size(), std::numeric_limits<float>::quiet_NaN());
        gemms(operands, count, m, n, k, a.data(), b.data(), offsets, &steps, c.data(),
              workspace.data(), pool);
        CHECK(sameBits(c, expected));
      }
    }
  }
}

TEST_CASE("gemm of no depth scales C, or clears it") {
  const std::vector<float> c{1, 2, 3, 4, 5, 6};
  CHECK(run(Operands::kFloat, false, false, 2, 3, 0, 1, 2, {}, {}, c, 1) ==
        std::vector<float>({2, 4, 6, 8, 10, 12}));
  CHECK(run(Operands::kFloat, false, true, 2, 3, 0, 1, 0, {}, {}, c, 1) ==
        std::vector<float>(6, 0.0f));
}

}  // namespace simaqat::kernels
