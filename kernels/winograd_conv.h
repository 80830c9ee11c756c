// The gradients of 3x3 convolutions with stride 1 in tiles of 2x2 positions, which take 16 products
// where a window sum takes 36: Winograd's F(2x2, 3x3) (Lavin and Gray 2016, "Fast Algorithms for
// Convolutional Neural Networks"). conv.h has the formulas.
//
// A tile of y, of 4x4 of the source d and of the weights g:   y = A' [(G g G') . (B' d B)] A
// and so the weights' gradient from that of y:               dg = G' [(B' d B) . (A dy A')] G
// whose products, the dots, are panel products over the channels, or over the tiles, for each of
// the 16 elements. A and B hold 0, 1 and -1, G also 1/2: rounding errors are about twice those of a
// sum, too much for a network of float values (see Sums in conv.h), where nothing else is rounded,
// and far below what fake quantization rounds: these are for the gradients of fake-quantized
// values. A sum that would meet an infinity is NaN for all positions of its tile.
#pragma once

#include <cstddef>

#include "kernels/conv.h"

namespace simaqat::kernels {

// Whether this is such a convolution, and faster so.
bool winogradFits(const ConvShape& shape);

size_t winogradInputGradWorkspace(const ConvShape& shape, int threads);
void winogradInputGrad(const ConvShape& shape, const float* dy, const float* w, float* dx,
                       std::byte* workspace, ThreadPool& pool);

size_t winogradWeightGradWorkspace(const ConvShape& shape, int threads);
void winogradWeightGrad(const ConvShape& shape, const Codes& x, const float* dy, float* dw,
                        std::byte* workspace, ThreadPool& pool);

}  // namespace simaqat::kernels
