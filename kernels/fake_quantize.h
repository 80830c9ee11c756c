// Quantization by the formulas of ONNX's QuantizeLinear and DequantizeLinear:
//   q(x)  = clamp(roundHalfToEven(x / scale) + zero_point, qmin, qmax)
//   dq(q) = (q - zero_point) * scale
// with a division, not a multiplication by a reciprocal. Zero points and code ranges are whole
// numbers in float; codes of up to 16 bits are exact.
//
// "PerChannel" takes x as [outer, channels, inner], with a scale for each channel, and a zero
// point for each, or null for 0. Inputs and outputs may be the same array.
#pragma once

#include <cstdint>
#include <limits>

#include "qat/base/thread_pool.h"

namespace simaqat::kernels {

// y = dq(q(x)). NaN stays NaN; infinities are clamped.
void fakeQuantize(const float* x, int64_t n, float scale, float zero_point, float qmin, float qmax,
                  float* y, ThreadPool& pool);
void fakeQuantizePerChannel(const float* x, int64_t outer, int64_t channels, int64_t inner,
                            const float* scale, const float* zero_point, float qmin, float qmax,
                            float* y, ThreadPool& pool);

// dx = dy where qmin <= roundHalfToEven(x / scale) + zero_point <= qmax, else 0; 0 where x is NaN.
void fakeQuantizeGrad(const float* x, const float* dy, int64_t n, float scale, float zero_point,
                      float qmin, float qmax, float* dx, ThreadPool& pool);
void fakeQuantizeGradPerChannel(const float* x, const float* dy, int64_t outer, int64_t channels,
                                int64_t inner, const float* scale, const float* zero_point,
                                float qmin, float qmax, float* dx, ThreadPool& pool);

// codes = q(x); NaN becomes qmin. Code is uint8_t, int8_t, uint16_t or int16_t, and qmin and qmax
// are codes.
template <class Code>
void quantize(const float* x, int64_t n, float scale, float zero_point, float qmin, float qmax,
              Code* codes, ThreadPool& pool);
template <class Code>
void quantizePerChannel(const float* x, int64_t outer, int64_t channels, int64_t inner,
                        const float* scale, const float* zero_point, float qmin, float qmax,
                        Code* codes, ThreadPool& pool);

// codes = q(min(max((x - center) * factor + offset, lo), hi)): what BatchNormalization, Relu or
// Clip and Quantize do one after the other, with the same roundings. NaN becomes a code, too;
// a bound that is NaN bounds nothing.
struct LineToCodes {
  float scale, zero_point, qmin, qmax;
  float center = 0, factor = 1, offset = 0;
  float lo = -std::numeric_limits<float>::infinity();
  float hi = std::numeric_limits<float>::infinity();
};

// y = dq(codes). Code is one of quantize's, or int32_t, whose codes are rounded to float first.
template <class Code>
void dequantize(const Code* codes, int64_t n, float scale, float zero_point, float* y,
                ThreadPool& pool);
template <class Code>
void dequantizePerChannel(const Code* codes, int64_t outer, int64_t channels, int64_t inner,
                          const float* scale, const float* zero_point, float* y, ThreadPool& pool);

// The least and the greatest x. Both are NaN where any x is; infinity and minus infinity where n
// is 0.
void minMax(const float* x, int64_t n, float* lo, float* hi, ThreadPool& pool);

// absmax[c] = max of |x[:, c, :]|, NaN where any is; 0 where there is none.
void channelAbsMax(const float* x, int64_t outer, int64_t channels, int64_t inner, float* absmax,
                   ThreadPool& pool);

}  // namespace simaqat::kernels
