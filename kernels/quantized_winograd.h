// quantized_conv.h for 3x3 kernels with stride 1, in Winograd's tiles of 2x2 positions
// (winograd_tiles.h), which take 16 products where the window takes 36: exact all the same, and so
// with the same bits.
//
// Transformed, codes of x less their zero point are at most 4 * 255 in size, and codes of w with
// twice G in place of G at most 9 * 128. Their products are summed modulo 2^32, and make four times
// the result, which has to fit.
#pragma once

#include "kernels/conv.h"
#include "kernels/conv_results.h"

namespace simaqat::kernels {

// Whether this is such a convolution, and faster so on this processor: where it has no instruction
// for dot products of bytes.
bool quantizedWinogradFits(const ConvShape& shape);

size_t quantizedWinogradWorkspace(const ConvShape& shape, int threads);
void quantizedWinograd(const ConvShape& shape, const Codes& x, const float* w, const float* w_scale,
                       const float* bias, const ConvResults& results, std::byte* workspace,
                       ThreadPool& pool);

}  // namespace simaqat::kernels
