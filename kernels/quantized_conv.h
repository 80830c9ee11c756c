// Convolution of quantized values in integers, exactly:
//
//   y[n, o, p] = bias[o] + x.scale * w_scale[o] * sum of (code(x) - x.zero_point) * code(w)
// over the window, where x is given by its codes, 0..255, of x = (code(x) - x.zero_point) * x.scale,
// and w = code(w) * w_scale[o] with codes -128..127 by what fake quantization has left of it. The
// sum is exact, so y is rounded once where a float convolution rounds at every tap. Shapes and
// layout are those of conv.h; so is what y does not depend on.
//
// Where a scale is NaN, since a value was one that no code tells, y is NaN.
#pragma once

#include "kernels/conv.h"
#include "kernels/conv_results.h"

namespace simaqat::kernels {

// Whether the sums of this shape fit into 32 bits whatever the codes are.
bool quantizedConvFits(const ConvShape& shape);

// w_scale has one element for each output channel. bias may be null.
size_t quantizedConvWorkspace(const ConvShape& shape, int threads);
void quantizedConv(const ConvShape& shape, const Codes& x, const float* w, const float* w_scale,
                   const float* bias, const ConvResults& results, std::byte* workspace,
                   ThreadPool& pool);

}  // namespace simaqat::kernels
