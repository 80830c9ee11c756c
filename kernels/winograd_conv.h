// The gradients of 3x3 convolutions with stride 1 in Winograd's tiles (winograd_tiles.h): of 2x2
// positions, which take 16 products where a window sum takes 36, or of 4x4, which take 36 for 144.
// conv.h has the formulas. The products, of all elements of a tile one by one, are panel products
// over the channels, or over the tiles.
//
// Rounding errors are up to twice those of a window sum in float, below 1 in 10^6 of the gradient's
// size: too much for a network of float values (see Sums in conv.h), where nothing else is rounded,
// and far below what fake quantization rounds. These are for the gradients of fake-quantized
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
