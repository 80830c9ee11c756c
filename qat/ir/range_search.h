// Ranges chosen by what quantization to them costs, from histograms and from weights.
#pragma once

#include <array>
#include <cmath>

#include "qat/ir/quantizer.h"

namespace simaqat {

// A histogram has this many bins of equal width over [-limit, limit], limit a power of two, and
// leaves out zeros, which every quantizer represents. Bin i begins at
// -limit + i * (2 * limit / kHistogramBins). A limit of 0 means that nothing was seen.
constexpr int64_t kHistogramBins = 4096;

// The least power of two that is not below max_abs, at least the smallest normal float.
float histogramLimit(float max_abs);

// Moves counts to bins of the limit `to`, not below `from`: both are powers of two, so bins merge
// whole.
void widenHistogram(float* counts, float from, float to);

// The bin of x, for |x| <= limit.
inline int64_t histogramBin(float x, float limit) {
  constexpr int64_t kHalf = kHistogramBins / 2;
  // Exact, as the limit is a power of two.
  const auto bin =
      static_cast<int64_t>(std::floor(x / limit * static_cast<float>(kHalf))) + kHalf;
  return bin < 0 ? 0 : bin < kHistogramBins ? bin : kHistogramBins - 1;
}

struct Range {
  float lo = kUnsetMin;
  float hi = kUnsetMax;
};

// By spec.observer:
//   "percentile": cuts (100 - percentile) / 2 per cent of the values off each end
//   "mse": the least squared error, s^2 / 12 for a value within and its distance for one beyond
//   "entropy": the least Kullback-Leibler divergence of the quantized distribution from the one
//     seen, over thresholds t of [-t, t] (Migacz 2017, "8-bit inference with TensorRT")
// An unset range where the histogram is empty.
Range rangeOfHistogram(const QuantizerSpec& spec, const float* counts, float limit);

// The squared errors of a symmetric quantizer over the values [outer, inner], `stride` from one row
// to the next, with 1.00, 0.99, ... 0.30 of the scale `largest`; infinite where that is too small
// for one.
constexpr size_t kScaleCandidates = 71;
using ScaleErrors = std::array<double, kScaleCandidates>;
ScaleErrors errorsOfScales(const QuantizerSpec& spec, const float* values, int64_t outer,
                           int64_t stride, int64_t inner, float largest);
// Of these parts of `largest` the one with the least error; of equals the greatest.
float scaleOfLeastError(const ScaleErrors& errors, float largest);
// Of the values themselves.
float scaleOfLeastError(const QuantizerSpec& spec, const float* values, int64_t outer,
                        int64_t stride, int64_t inner, float largest);

// Where LSQ starts: 2 * mean(|x|) / sqrt(largest code from the zero point on).
float learnedScaleStart(double mean_abs, int64_t largest_code);

}  // namespace simaqat
