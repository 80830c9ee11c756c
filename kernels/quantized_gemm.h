// Matrix multiplication of quantized values in integers, exactly:
//
//   y[i, j] = bias[j] + x.scale * w_scale[j] * sum over l of (code(x[i, l]) - x.zero_point) *
//   code(w[l, j])
//
// with operands as in quantized_conv.h: x by its codes, 0..255, [m, k]; w [k, n], or [n, k] where
// trans_w, by what fake quantization has left of it, codes -128..127. y is [m, n]. Where a scale is
// NaN, y is.
#pragma once

#include <cstddef>

#include "kernels/conv.h"

namespace simaqat::kernels {

struct QuantizedGemmShape {
  int64_t m, n, k;
  bool trans_w;
};

// Whether the sums fit into 32 bits whatever the codes are.
bool quantizedGemmFits(const QuantizedGemmShape& shape);

// w_scale has n elements, and so has bias, which may be null.
size_t quantizedGemmWorkspace(const QuantizedGemmShape& shape);
void quantizedGemm(const QuantizedGemmShape& shape, const Codes& x, const float* w,
                   const float* w_scale, const float* bias, float* y, std::byte* workspace,
                   ThreadPool& pool);

}  // namespace simaqat::kernels
