#include "kernels/conv_results.h"

#include <algorithm>
#include <cstring>

#include "kernels/isa.h"
#include "kernels/wide_sum.h"

namespace simaqat::kernels {
namespace {

void putCodes(ConvCodes& codes, int64_t at, const float* values, int64_t n) {
  if (kernels().quantizeLine(values, n, codes.line, codes.codes + at)) {
    codes.has_nan.store(true, std::memory_order_relaxed);
  }
}

}  // namespace

void PartialMoments::add(const float* values, int64_t n) {
  WideSum first, second;
  Float4 least_low, greatest_low;
  for (int k = 0; k < 4; ++k) least_low[k] = lo, greatest_low[k] = hi;
  Float4 least_high = least_low, greatest_high = greatest_low;
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const Float4 v_low = loadFloat4(values + i), v_high = loadFloat4(values + i + 4);
    const Double4 low = toDouble4(v_low), high = toDouble4(v_high);
    first.add(low, high);
    second.add(low * low, high * high);
    least_low = v_low < least_low ? v_low : least_low;
    least_high = v_high < least_high ? v_high : least_high;
    greatest_low = v_low > greatest_low ? v_low : greatest_low;
    greatest_high = v_high > greatest_high ? v_high : greatest_high;
  }
  for (int k = 0; k < 4; ++k) {
    lo = std::min({lo, least_low[k], least_high[k]});
    hi = std::max({hi, greatest_low[k], greatest_high[k]});
  }
  for (; i < n; ++i) {
    const double v = values[i];
    first.add(v);
    second.add(v * v);
    lo = std::min(lo, values[i]);
    hi = std::max(hi, values[i]);
  }
  sum += first.total();
  squares += second.total();
}

void PartialMoments::add(const PartialMoments& other) {
  sum += other.sum;
  squares += other.squares;
  lo = std::min(lo, other.lo);
  hi = std::max(hi, other.hi);
}

void putResults(const ConvResults& results, int64_t at, const float* values, int64_t n,
                PartialMoments* partial) {
  if (results.codes != nullptr) {
    putCodes(*results.codes, at, values, n);
    return;
  }
  std::memcpy(results.y + at, values, static_cast<size_t>(n) * sizeof(float));
  if (partial != nullptr) partial->add(values, n);
}

void addParts(const PartialMoments* partial, int64_t parts, int64_t channels, double* moments) {
  for (int64_t c = 0; c < channels; ++c, moments += kMomentsOfChannel) {
    PartialMoments total;
    for (int64_t part = 0; part < parts; ++part) total.add(partial[part * channels + c]);
    moments[0] = total.sum;
    moments[1] = total.squares;
    moments[2] = total.lo;
    moments[3] = total.hi;
  }
}

void channelMoments(const float* y, int64_t batch, int64_t channels, int64_t plane, double* moments,
                    ThreadPool& pool) {
  pool.run(channels, [&](int64_t c, int) {
    PartialMoments total;
    for (int64_t n = 0; n < batch; ++n) total.add(y + (n * channels + c) * plane, plane);
    addParts(&total, 1, 1, moments + c * kMomentsOfChannel);
  });
}

}  // namespace simaqat::kernels
