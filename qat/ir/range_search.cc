#include "qat/ir/range_search.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace simaqat {
namespace {

constexpr int64_t kHalf = kHistogramBins / 2;

// The bins that hold something, from `first` to before `last`.
struct Occupied {
  int64_t first = 0;
  int64_t last = 0;
};

Occupied occupied(const float* counts) {
  Occupied bins{0, kHistogramBins};
  while (bins.first < bins.last && counts[bins.first] == 0) ++bins.first;
  while (bins.last > bins.first && counts[bins.last - 1] == 0) --bins.last;
  return bins;
}

float edge(int64_t bin, float limit) {
  return limit * (static_cast<float>(bin) / static_cast<float>(kHalf) - 1.0f);
}

Range percentileRange(const QuantizerSpec& spec, const float* counts, float limit) {
  double total = 0;
  for (int64_t i = 0; i < kHistogramBins; ++i) total += counts[i];
  const double cut = total * (100.0 - static_cast<double>(spec.percentile)) / 200.0;
  Occupied bins = occupied(counts);
  double below = 0;
  while (bins.first < bins.last && below + counts[bins.first] <= cut) below += counts[bins.first++];
  double above = 0;
  while (bins.last > bins.first + 1 && above + counts[bins.last - 1] <= cut) {
    above += counts[--bins.last];
  }
  return {edge(bins.first, limit), edge(bins.last, limit)};
}

// Sums over the bins below each one, of counts, values and squares, for costs in constant time.
class Moments {
 public:
  Moments(const float* counts, float limit) {
    for (auto* sums : {&count_, &value_, &square_}) sums->assign(kHistogramBins + 1, 0);
    for (int64_t i = 0; i < kHistogramBins; ++i) {
      const auto at = static_cast<size_t>(i);
      const double x = (static_cast<double>(edge(i, limit)) + edge(i + 1, limit)) / 2;
      count_[at + 1] = count_[at] + counts[i];
      value_[at + 1] = value_[at] + x * counts[i];
      square_[at + 1] = square_[at] + x * x * counts[i];
    }
  }

  double count(int64_t from, int64_t to) const { return between(count_, from, to); }
  // The sum of (x - y)^2 over the bins.
  double squaredDistance(int64_t from, int64_t to, double y) const {
    return between(square_, from, to) - 2 * y * between(value_, from, to) +
           y * y * count(from, to);
  }

 private:
  static double between(const std::vector<double>& sums, int64_t from, int64_t to) {
    return sums[static_cast<size_t>(to)] - sums[static_cast<size_t>(from)];
  }
  std::vector<double> count_, value_, square_;
};

// So many places for each end: the best of all their pairs is taken.
constexpr int64_t kPlaces = 128;

Range leastErrorRange(const QuantizerSpec& spec, const float* counts, float limit) {
  const Moments moments(counts, limit);
  const Occupied bins = occupied(counts);
  const int64_t lowest = std::min(bins.first, kHalf);
  const int64_t highest = std::max(bins.last, kHalf);
  const auto place = [](int64_t from, int64_t to, int64_t k) {
    return from + (to - from) * k / kPlaces;
  };
  double least = std::numeric_limits<double>::infinity();
  Range best;
  int64_t last_low = -1;
  for (int64_t i = 0; i <= kPlaces; ++i) {
    const int64_t low = place(lowest, kHalf, i);
    if (low == last_low) continue;
    last_low = low;
    int64_t last_high = -1;
    for (int64_t k = 0; k <= kPlaces; ++k) {
      const int64_t high = place(highest, kHalf, k);
      if (high == last_high || high == low) continue;
      last_high = high;
      const Range range{edge(low, limit), edge(high, limit)};
      const ScaleAndZeroPoint grid = scaleFromRange(spec, range.lo, range.hi);
      const double step = grid.scale;
      const double bottom = static_cast<double>(spec.qmin - grid.zero_point) * step;
      const double top = static_cast<double>(spec.qmax - grid.zero_point) * step;
      const double cost = moments.count(low, high) * step * step / 12 +
                          moments.squaredDistance(0, low, bottom) +
                          moments.squaredDistance(high, kHistogramBins, top);
      if (cost < least) {
        least = cost;
        best = range;
      }
    }
  }
  return best;
}

// The divergence of what is left of bins [low, high) after `levels` codes of equal width, with what
// lies beyond in the outermost bins, from the same bins as they were.
double divergence(const float* counts, int64_t low, int64_t high, int64_t levels) {
  std::vector<double> seen(counts + low, counts + high);
  for (int64_t i = 0; i < low; ++i) seen.front() += counts[i];
  for (int64_t i = high; i < kHistogramBins; ++i) seen.back() += counts[i];
  const int64_t bins = high - low;
  double total = 0;
  double kept_total = 0;
  std::vector<double> kept(seen.size(), 0);
  for (int64_t level = 0; level < levels; ++level) {
    const int64_t from = bins * level / levels;
    const int64_t to = bins * (level + 1) / levels;
    double sum = 0;
    int64_t filled = 0;
    for (int64_t i = from; i < to; ++i) {
      sum += counts[low + i];
      filled += seen[static_cast<size_t>(i)] > 0;
    }
    for (int64_t i = from; i < to; ++i) {
      const auto at = static_cast<size_t>(i);
      if (seen[at] > 0) kept[at] = sum / static_cast<double>(filled);
    }
    kept_total += sum;
  }
  for (double s : seen) total += s;
  double result = 0;
  for (size_t i = 0; i < seen.size(); ++i) {
    if (seen[i] == 0) continue;
    // A bin that quantization left empty is given a little, as in the source.
    const double p = seen[i] / total;
    const double q = std::max(kept[i] / kept_total, 1e-9);
    result += p * std::log(p / q);
  }
  return result;
}

Range leastDivergenceRange(const QuantizerSpec& spec, const float* counts, float limit) {
  const Occupied bins = occupied(counts);
  const int64_t levels = spec.qmax - spec.qmin + 1;
  const int64_t widest = std::max(bins.last - kHalf, kHalf - bins.first);
  const int64_t least_places = std::max<int64_t>(widest / kPlaces, 1);
  double least = std::numeric_limits<double>::infinity();
  Range best;
  for (int64_t t = widest; t > 0; t -= least_places) {
    const int64_t low = std::max(std::min(bins.first, kHalf), kHalf - t);
    const int64_t high = std::min(std::max(bins.last, kHalf), kHalf + t);
    // Fewer bins than codes tell nothing of quantization.
    if (high - low < levels && t < widest) break;
    const double cost = divergence(counts, low, high, std::min(levels, high - low));
    if (cost < least) {
      least = cost;
      best = {edge(low, limit), edge(high, limit)};
    }
  }
  return best;
}

float candidateScale(float largest, size_t candidate) {
  return largest * (static_cast<float>(100 - candidate) / 100.0f);
}

}  // namespace

float histogramLimit(float max_abs) {
  int exponent = 0;
  const float fraction = std::frexp(max_abs, &exponent);
  if (fraction == 0.5f) --exponent;
  // Not beyond what a float holds; the largest numbers fall into the outermost bins.
  return std::ldexp(1.0f, std::clamp(exponent, std::numeric_limits<float>::min_exponent,
                                     std::numeric_limits<float>::max_exponent - 1));
}

void widenHistogram(float* counts, float from, float to) {
  int times = 0;
  for (; from < to; from *= 2) ++times;
  for (; times > 0; --times) {
    // Bins on each side of the middle move towards it, the nearest first.
    for (int64_t i = 0; i < kHalf / 2; ++i) {
      counts[kHalf + i] = counts[kHalf + 2 * i] + counts[kHalf + 2 * i + 1];
      counts[kHalf - 1 - i] = counts[kHalf - 1 - 2 * i] + counts[kHalf - 2 - 2 * i];
    }
    std::fill_n(counts, kHalf / 2, 0.0f);
    std::fill_n(counts + kHalf + kHalf / 2, kHalf / 2, 0.0f);
  }
}

Range rangeOfHistogram(const QuantizerSpec& spec, const float* counts, float limit) {
  const Occupied bins = occupied(counts);
  if (bins.first == bins.last) return {};
  if (spec.observer == "percentile") return percentileRange(spec, counts, limit);
  return spec.observer == "mse" ? leastErrorRange(spec, counts, limit)
                                : leastDivergenceRange(spec, counts, limit);
}

ScaleErrors errorsOfScales(const QuantizerSpec& spec, const float* values, int64_t outer,
                           int64_t stride, int64_t inner, float largest) {
  ScaleErrors errors;
  errors.fill(std::numeric_limits<double>::infinity());
  for (size_t candidate = 0; candidate < kScaleCandidates; ++candidate) {
    const float scale = candidateScale(largest, candidate);
    if (!(scale >= std::numeric_limits<float>::min())) break;
    double error = 0;
    for (int64_t row = 0; row < outer; ++row) {
      for (int64_t i = 0; i < inner; ++i) {
        const float x = values[row * stride + i];
        const auto code = static_cast<float>(quantizeOne(x, scale, 0, spec.qmin, spec.qmax));
        const double distance = static_cast<double>(x) - static_cast<double>(code * scale);
        error += distance * distance;
      }
    }
    errors[candidate] = error;
  }
  return errors;
}

float scaleOfLeastError(const ScaleErrors& errors, float largest) {
  const auto least = std::min_element(errors.begin(), errors.end()) - errors.begin();
  return candidateScale(largest, static_cast<size_t>(least));
}

float scaleOfLeastError(const QuantizerSpec& spec, const float* values, int64_t outer,
                        int64_t stride, int64_t inner, float largest) {
  return scaleOfLeastError(errorsOfScales(spec, values, outer, stride, inner, largest), largest);
}

float learnedScaleStart(double mean_abs, int64_t largest_code) {
  const auto scale =
      static_cast<float>(2 * mean_abs / std::sqrt(static_cast<double>(largest_code)));
  return scale >= std::numeric_limits<float>::min() ? scale : 1.0f;
}

}  // namespace simaqat
