// What becomes of a quantized convolution's results while they are in the cache.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>

#include "kernels/fake_quantize.h"
#include "qat/base/thread_pool.h"

namespace simaqat::kernels {

// Results as codes of 8 bits. In place of a NaN, which no code tells, has_nan becomes true.
struct ConvCodes {
  uint8_t* codes;
  LineToCodes line;
  std::atomic<bool> has_nan{false};
};

// A channel's numbers for BatchNormalization: the sum of its results and of their squares, and the
// least and the greatest. With a NaN among the results the sums are NaN.
constexpr int64_t kMomentsOfChannel = 4;

// Where they go: floats, and with `moments` each channel's numbers, [channel][kMomentsOfChannel];
// or codes alone.
struct ConvResults {
  float* y = nullptr;
  double* moments = nullptr;
  ConvCodes* codes = nullptr;
};

// The moments of y, [batch, channels, plane].
void channelMoments(const float* y, int64_t batch, int64_t channels, int64_t plane, double* moments,
                    ThreadPool& pool);

// ---- For convolutions ----------------------------------------------------------------------

// Of a part of a channel.
struct PartialMoments {
  double sum = 0;
  double squares = 0;
  float lo = std::numeric_limits<float>::infinity();
  float hi = -std::numeric_limits<float>::infinity();

  void add(const float* values, int64_t n);
  void add(const PartialMoments& other);
};

// Neighbouring results, which are at `at` of y or of codes. `partial` takes their moments, where
// these are asked for.
void putResults(const ConvResults& results, int64_t at, const float* values, int64_t n,
                PartialMoments* partial);

// From parts [part][channel], added in order.
void addParts(const PartialMoments* partial, int64_t parts, int64_t channels, double* moments);

}  // namespace simaqat::kernels
