// Histograms, and ranges chosen from them, against plain searches.
#include "qat/ir/range_search.h"

#include <cmath>
#include <vector>

#include "qat/base/random.h"
#include "tests/catch.h"

namespace simaqat {
namespace {

std::vector<float> histogramOf(const std::vector<float>& values, float limit) {
  std::vector<float> counts(kHistogramBins, 0);
  for (float x : values) {
    if (x != 0) counts[static_cast<size_t>(histogramBin(x, limit))] += 1;
  }
  return counts;
}

// Normal numbers, and one in a thousand twenty times as large.
std::vector<float> heavyTailed(int64_t count) {
  const RandomStream stream(3, randomPurpose("heavy"), 0);
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) {
    const float x = stream.normal(static_cast<uint64_t>(i));
    values.push_back(i % 1000 == 0 ? 20 * x : x);
  }
  return values;
}

double squaredError(const std::vector<float>& values, const QuantizerSpec& spec, Range range) {
  const ScaleAndZeroPoint grid = scaleFromRange(spec, range.lo, range.hi);
  double error = 0;
  for (float x : values) {
    const int32_t code = quantizeOne(x, grid.scale, grid.zero_point, spec.qmin, spec.qmax);
    const double y = static_cast<double>(code - grid.zero_point) * grid.scale;
    error += (x - y) * (x - y);
  }
  return error;
}

QuantizerSpec observedBy(const std::string& observer) {
  QuantizerSpec spec;
  spec.observer = observer;
  return spec;
}

TEST_CASE("limits are powers of two") {
  CHECK(histogramLimit(1) == 1);
  CHECK(histogramLimit(1.01f) == 2);
  CHECK(histogramLimit(0.3f) == 0.5f);
  CHECK(histogramLimit(std::numeric_limits<float>::max()) == std::ldexp(1.0f, 127));
  CHECK(histogramLimit(1e-45f) >= std::numeric_limits<float>::min());
}

TEST_CASE("a wider histogram is that of the same values") {
  const std::vector<float> values = heavyTailed(10000);
  for (float wider : {64.0f, 128.0f, 512.0f}) {
    std::vector<float> counts = histogramOf(values, 64);
    widenHistogram(counts.data(), 64, wider);
    CHECK(counts == histogramOf(values, wider));
  }
}

TEST_CASE("percentiles cut both ends alike") {
  QuantizerSpec spec = observedBy("percentile");
  std::vector<float> values;
  for (int i = 1; i <= 1000; ++i) values.push_back(static_cast<float>(i) / 500 - 1.001f);
  const std::vector<float> counts = histogramOf(values, 1);
  spec.percentile = 100;
  Range range = rangeOfHistogram(spec, counts.data(), 1);
  CHECK(range.lo == Catch::Approx(-1).margin(1e-3));
  CHECK(range.hi == Catch::Approx(1).margin(2e-3));
  spec.percentile = 90;
  range = rangeOfHistogram(spec, counts.data(), 1);
  CHECK(range.lo == Catch::Approx(-0.9).margin(5e-3));
  CHECK(range.hi == Catch::Approx(0.9).margin(5e-3));
}

TEST_CASE("nothing seen gives an unset range") {
  const std::vector<float> counts(kHistogramBins, 0);
  for (const char* observer : {"percentile", "mse", "entropy"}) {
    const Range range = rangeOfHistogram(observedBy(observer), counts.data(), 0);
    CHECK(isUnsetRange(range.lo, range.hi));
  }
}

TEST_CASE("one value is in the range") {
  for (float x : {3.0f, -3.0f}) {
    const std::vector<float> counts = histogramOf({x}, 4);
    for (const char* observer : {"percentile", "mse", "entropy"}) {
      INFO(observer << " " << x);
      const Range range = rangeOfHistogram(observedBy(observer), counts.data(), 4);
      CHECK(range.lo <= x);
      CHECK(range.hi >= x);
    }
  }
}

TEST_CASE("the least squared error is near what a search on the values finds") {
  const std::vector<float> values = heavyTailed(50000);
  const float limit = 128;
  const std::vector<float> counts = histogramOf(values, limit);
  for (int64_t bits : {4, 8}) {
    QuantizerSpec spec = observedBy("mse");
    setActivationBits(spec, bits, false);
    const double chosen = squaredError(values, spec, rangeOfHistogram(spec, counts.data(), limit));
    double least = std::numeric_limits<double>::infinity();
    for (int i = 1; i <= 200; ++i) {
      const float t = static_cast<float>(i) * 0.4f;
      least = std::min(least, squaredError(values, spec, {-t, t}));
    }
    CHECK(chosen <= 1.1 * least);
    // Four bits leave the tail out.
    if (bits == 4) CHECK(rangeOfHistogram(spec, counts.data(), limit).hi < 20);
  }
}

TEST_CASE("entropy leaves out a far tail, and keeps a distribution that has none") {
  const std::vector<float> values = heavyTailed(50000);
  const QuantizerSpec spec = observedBy("entropy");
  const Range cut = rangeOfHistogram(spec, histogramOf(values, 128).data(), 128);
  CHECK(cut.hi < 40);
  CHECK(cut.hi > 3);
  std::vector<float> even;
  for (int i = 0; i < 40960; ++i) even.push_back((static_cast<float>(i) + 0.5f) / 40960);
  const Range whole = rangeOfHistogram(spec, histogramOf(even, 1).data(), 1);
  CHECK(whole.lo == 0);
  CHECK(whole.hi > 0.98f);
}

TEST_CASE("a weight's scale of least error") {
  const QuantizerSpec eight = weightQuantizer(0);
  QuantizerSpec four = weightQuantizer(0);
  setWeightBits(four, 4);
  // [outer 2, stride 6, inner 3]: what lies between the rows does not count.
  const std::vector<float> values = {1, -0.5f, 0.25f, 1e9f, 1e9f, 1e9f, 0.1f, 0.2f, -1};
  CHECK(scaleOfLeastError(eight, values.data(), 2, 6, 3, 1.0f / 127) <= 1.0f / 127);
  std::vector<float> tailed(256, 0.1f);
  for (size_t i = 0; i < tailed.size(); ++i) tailed[i] *= i % 2 == 0 ? 1.0f : -0.7f;
  tailed[0] = 1;
  const float scale = scaleOfLeastError(four, tailed.data(), 1, 0, 256, 1.0f / 7);
  CHECK(scale < 0.9f / 7);
}

}  // namespace
}  // namespace simaqat
