// Activations as codes of 8 bits: what Quantize and its fused form share.
#pragma once

#include <atomic>
#include <limits>

#include "kernels/fake_quantize.h"
#include "kernels/isa.h"
#include "qat/ir/quantizer.h"
#include "qat/ops/shared/broadcast.h"

namespace simaqat::ops {

// Takes values in blocks, on any thread, and writes their codes.
class CodeSink {
 public:
  CodeSink(const QuantizerSpec& spec, float scale, float zero_point, uint8_t* codes)
      : scale_(scale),
        zero_point_(zero_point),
        qmin_(static_cast<float>(spec.qmin)),
        qmax_(static_cast<float>(spec.qmax)),
        codes_(codes) {}

  void put(int64_t at, const float* x, int64_t n) {
    kernels::kernels().quantizeUint8(x, n, scale_, zero_point_, qmin_, qmax_, codes_ + at);
    uint32_t nan = 0;
    for (int64_t i = 0; i < n; ++i) nan |= x[i] != x[i] ? 1u : 0u;
    if (nan != 0) has_nan_.store(true, std::memory_order_relaxed);
  }
  float checkedScale() const {
    return has_nan_ ? std::numeric_limits<float>::quiet_NaN() : scale_;
  }

 private:
  float scale_, zero_point_, qmin_, qmax_;
  uint8_t* codes_;
  std::atomic<bool> has_nan_{false};
};

// Inputs of a result that is quantized, in this order; either of Clip's bounds may be absent.
enum QuantizedResultInput {
  kResultScale,
  kResultZeroPoint,
  kResultMin,
  kResultMax,
  kQuantizedResultInputs
};

// How such a result becomes codes, of inputs from `first` on.
inline kernels::LineToCodes lineToCodes(const EvalContext& c, size_t first, int64_t qmin,
                                        int64_t qmax) {
  kernels::LineToCodes line{*c.in(first + kResultScale).data<float>(),
                            *c.in(first + kResultZeroPoint).data<float>(), static_cast<float>(qmin),
                            static_cast<float>(qmax)};
  if (c.hasIn(first + kResultMin)) line.lo = *c.in(first + kResultMin).data<float>();
  if (c.hasIn(first + kResultMax)) line.hi = *c.in(first + kResultMax).data<float>();
  return line;
}

}  // namespace simaqat::ops
