#include "kernels/conv_results.h"

#include <algorithm>
#include <cstring>

#include "kernels/isa.h"

namespace simaqat::kernels {
namespace {

void putCodes(ConvCodes& codes, int64_t at, const float* values, int64_t n) {
  if (kernels().quantizeLine(values, n, codes.line, codes.codes + at)) {
    codes.has_nan.store(true, std::memory_order_relaxed);
  }
}

}  // namespace

void PartialMoments::add(const float* values, int64_t n) { kernels().addMoments(values, n, *this); }

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
  // The channel's next piece, so far from this one's writing that the processor does not foresee it.
  constexpr int64_t kCacheLine = 16;
  for (int64_t i = 0; i < n; i += kCacheLine) __builtin_prefetch(results.y + at + n + i, 1);
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
