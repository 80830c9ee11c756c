// Activations as codes of 8 bits: what Quantize and its fused form share.
#pragma once

#include <atomic>
#include <limits>

#include "kernels/bit_mask.h"
#include "kernels/fake_quantize.h"
#include "kernels/isa.h"
#include "qat/ir/quantizer.h"
#include "qat/ops/shared/fake_quantize.h"

namespace simaqat::ops {

// Outputs of operators that quantize to codes; the last may be absent.
enum CodesOutput { kCodes, kCodesScale, kCodesMask, kCodesOutputs };

// Takes values in blocks, on any thread, and writes their codes, and the mask of those whose
// gradient passes where somebody keeps it. Blocks begin at whole bytes of the mask.
class CodeSink {
 public:
  CodeSink(const EvalContext& c, const QuantizerSpec& spec, float scale, float zero_point)
      : scale_(scale),
        zero_point_(zero_point),
        qmin_(static_cast<float>(spec.qmin)),
        qmax_(static_cast<float>(spec.qmax)),
        codes_(c.out(kCodes).data<uint8_t>()) {
    if (c.outputs.size() <= kCodesMask) return;
    mask_ = c.out(kCodesMask).mask();
    passing_ = passingRange(spec, scale, zero_point);
  }

  void put(int64_t at, const float* x, int64_t n) {
    kernels::kernels().quantizeUint8(x, n, scale_, zero_point_, qmin_, qmax_, codes_ + at);
    if (mask_ != nullptr) kernels::maskWithin(x, n, passing_.lo, passing_.hi, mask_ + at / 8);
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
  uint8_t* mask_ = nullptr;
  FloatRange passing_{};
  std::atomic<bool> has_nan_{false};
};

inline void inferCodes(InferContext& c, const TensorType& scale,
                       const std::optional<Shape>& shape) {
  c.setOutput(kCodes, ElementType::kUint8, shape);
  c.setOutput(kCodesScale, scale.element, scale.shape);
  if (c.node.outputCount() > kCodesMask) c.setOutput(kCodesMask, ElementType::kBit, shape);
}

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
