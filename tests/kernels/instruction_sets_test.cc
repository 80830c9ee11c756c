// Loops that exist for several instruction sets give the same bits on all of them (isa.h).
#include <cmath>
#include <limits>

#include "kernels/channel_loops.h"
#include "kernels/isa.h"
#include "kernels/panel_product.h"
#include "tests/catch.h"
#include "tests/kernels/helpers.h"

namespace simaqat::kernels {
namespace {

constexpr int64_t kMostRows = 19;
constexpr int64_t kMostDepth = 37;

void multiply(const KernelTable& table, const PanelProduct<float>& p) { table.multiplyPanel(p); }
void multiply(const KernelTable& table, const PanelProduct<double>& p) {
  table.multiplyPanelInDouble(p);
}

constexpr int64_t kMostPanels = 3;

void multiply(const KernelTable& table, const PanelProduct<Bfloat16Pair>& p) {
  table.multiplyPanelOfPairs(p);
}

template <class T>
std::vector<T> operands(const float* numbers, size_t count) {
  return {numbers, numbers + count};
}
template <>
std::vector<Bfloat16Pair> operands(const float* numbers, size_t count) {
  std::vector<Bfloat16Pair> pairs(count);
  for (size_t i = 0; i < count; ++i) pairs[i] = pairOf(numbers[i], numbers[(i + 7) % count]);
  return pairs;
}
template <class T>
T multiplyAdd(T a, T b, T sum) {
  return std::fma(a, b, sum);
}
float multiplyAdd(Bfloat16Pair a, Bfloat16Pair b, float sum) {
  return std::fma(firstOf(a), firstOf(b), std::fma(secondOf(a), secondOf(b), sum));
}

// A product of these sizes against the chains of fused multiply-adds that panel_product.h tells.
template <class T>
void checkProduct(Isa isa, int64_t panels, int64_t rows, int64_t depth, int64_t columns) {
  const std::vector<float> numbers = randomFloats(6000, 3);
  const std::vector<T> source = operands<T>(numbers.data(), 2000);
  const std::vector<T> panel = operands<T>(numbers.data() + 2000, 4000);
  std::vector<int64_t> row, offset;
  for (int64_t i = 0; i < kMostRows; ++i) row.push_back(i * 29 % 500);
  for (int64_t j = 0; j < kMostDepth; ++j) offset.push_back(j * j % 1000);
  constexpr int64_t kStride = kMostDepth * kPanel<T>;
  const int64_t results = (rows + 1) * kPanel<T>;
  const bool adds = (rows + columns) % 2 == 0;
  using Sum = SumOf<T>;
  std::vector<Sum> result(static_cast<size_t>(panels * results), Sum{7});
  multiply(kernelsOf(isa), {source.data(), row.data(), rows, offset.data(), depth, panel.data(),
                            columns, result.data(), kPanel<T>, adds, panels, kStride, results});
  CAPTURE(isaName(isa), panels, rows, depth, columns);
  for (int64_t q = 0; q < panels; ++q) {
    for (int64_t i = 0; i <= rows; ++i) {
      for (int64_t lane = 0; lane < kPanel<T>; ++lane) {
        const bool is_row = i < rows;
        if (is_row && q + 1 == panels && lane >= columns) continue;
        Sum sum = 0;
        for (int64_t j = 0; is_row && j < depth; ++j) {
          const auto at =
              static_cast<size_t>(row[static_cast<size_t>(i)] + offset[static_cast<size_t>(j)]);
          const auto w = static_cast<size_t>(q * kStride + j * kPanel<T> + lane);
          sum = multiplyAdd(source[at], panel[w], sum);
        }
        const Sum expected = !is_row || adds ? Sum{7} + sum : sum;
        if (result[static_cast<size_t>(q * results + i * kPanel<T> + lane)] != expected) {
          FAIL("panel " << q << ", row " << i << ", lane " << lane);
        }
      }
    }
  }
}

template <class T>
void checkPanels() {
  for (const Isa isa : available()) {
    for (int64_t panels = 1; panels <= kMostPanels; ++panels) {
      for (int64_t rows = 1; rows <= kMostRows; ++rows) {
        for (const int64_t depth : {int64_t{0}, int64_t{1}, kMostDepth}) {
          for (int64_t columns = 1; columns <= kPanel<T>; columns += 1 + rows % 3) {
            checkProduct<T>(isa, panels, rows, depth, columns);
          }
        }
      }
    }
  }
}

bool same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
const std::vector<int64_t> kLengths = {0, 1, 7, 8, 9, 16, 31, 200};

// Random numbers with what is unusual among them.
std::vector<float> unusual(int64_t n, uint64_t seed, float special) {
  std::vector<float> v = randomFloats(n, seed);
  for (size_t i = 3; i < v.size(); i += 11) v[i] = special;
  return v;
}

}  // namespace

TEST_CASE("panel products, on every instruction set") {
  checkPanels<float>();
  checkPanels<double>();
  checkPanels<Bfloat16Pair>();
}

TEST_CASE("moments, on every instruction set") {
  for (const float special : {0.25f, -0.0f, kInfinity, kNan}) {
    for (const int64_t n : kLengths) {
      const std::vector<float> v = unusual(n, 5, special);
      double sum = 0, squares = 0;
      float lo = kInfinity, hi = -kInfinity;
      for (const float x : v) {
        sum += x;
        squares += static_cast<double>(x) * x;
        lo = x < lo ? x : lo;
        hi = x > hi ? x : hi;
      }
      PartialMoments baseline;
      kernelsOf(Isa::kBaseline).addMoments(v.data(), n, baseline);
      CAPTURE(special, n);
      CHECK((same(baseline.sum, sum) || std::abs(baseline.sum - sum) < 1e-9));
      CHECK((same(baseline.squares, squares) || std::abs(baseline.squares - squares) < 1e-9));
      CHECK(baseline.lo == lo);
      CHECK(baseline.hi == hi);
      for (const Isa isa : available()) {
        PartialMoments moments;
        kernelsOf(isa).addMoments(v.data(), n, moments);
        CAPTURE(isaName(isa));
        CHECK(same(moments.sum, baseline.sum));
        CHECK(same(moments.squares, baseline.squares));
        CHECK(moments.lo == baseline.lo);
        CHECK(std::signbit(moments.lo) == std::signbit(baseline.lo));
        CHECK(moments.hi == baseline.hi);
        CHECK(std::signbit(moments.hi) == std::signbit(baseline.hi));
      }
    }
  }
}

TEST_CASE("BatchNormalization's gradient, on every instruction set") {
  const PassedValues ranges[] = {{}, {false, -0.5f, 0.75f}, {false, kNan, kNan}};
  const GradientLine line{0.1f, 1.3f, -0.02f, 0.4f};
  constexpr double kMean = 0.125;
  for (const float special : {0.75f, kInfinity, kNan}) {
    for (const int64_t n : kLengths) {
      for (const PassedValues& passed : ranges) {
        const std::vector<float> x = unusual(n, 6, special), dy = unusual(n, 7, -0.0f);
        double sum = 0, product = 0;
        std::vector<float> expected(x.size());
        for (size_t i = 0; i < x.size(); ++i) {
          const bool counts = passed.all || (x[i] >= passed.lo && x[i] <= passed.hi);
          const float gradient = counts ? dy[i] : 0.0f;
          sum += gradient;
          product += gradient * (x[i] - kMean);
          expected[i] =
              line.factor * (gradient - line.mean_dy - (x[i] - line.center) * line.slope);
        }
        WideSum first, second;
        kernelsOf(Isa::kBaseline)
            .addGradients(dy.data(), x.data(), n, 64, passed, kMean, first, second);
        CAPTURE(special, n, passed.all, passed.lo);
        CHECK((same(first.total(), sum) || std::abs(first.total() - sum) < 1e-9));
        CHECK((same(second.total(), product) || std::abs(second.total() - product) < 1e-9));
        for (const Isa isa : available()) {
          WideSum own_first, own_second;
          kernelsOf(isa).addGradients(dy.data(), x.data(), n, 64, passed, kMean, own_first,
                                      own_second);
          std::vector<float> dx = dy;
          kernelsOf(isa).lineGradient(dx.data(), x.data(), n, passed, line, dx.data());
          CAPTURE(isaName(isa));
          CHECK(same(own_first.total(), first.total()));
          CHECK(same(own_second.total(), second.total()));
          for (size_t i = 0; i < dx.size(); ++i) REQUIRE(same(dx[i], expected[i]));
        }
      }
    }
  }
}

}  // namespace simaqat::kernels
