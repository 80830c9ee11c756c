// Convolution of quantized values, and its gradients, on matrix tiles (matrix_tiles.h). Formulas,
// shapes and layout are those of conv.h and quantized_conv.h. The forward result has the same bits as
// quantizedConv by other instructions; gradients have float32's accuracy and bits of their own.
#pragma once

#include "kernels/conv.h"
#include "kernels/conv_results.h"

namespace simaqat::kernels {

// Whether the machine has tiles, the instruction set chosen includes them (isa.h), and the shape has
// channels enough to fill them.
bool convFitsMatrixTiles(const ConvShape& shape);

size_t matrixConvWorkspace(const ConvShape& shape, int threads);
void matrixConv(const ConvShape& shape, const Codes& x, const float* w, const float* w_scale,
                const float* bias, const ConvResults& results, std::byte* workspace,
                ThreadPool& pool);

// w = code * w_scale[o], codes -128..127.
size_t matrixInputGradWorkspace(const ConvShape& shape, int threads);
void matrixInputGrad(const ConvShape& shape, const float* dy, const float* w, const float* w_scale,
                     float* dx, std::byte* workspace, ThreadPool& pool);

size_t matrixWeightGradWorkspace(const ConvShape& shape, int threads);
void matrixWeightGrad(const ConvShape& shape, const Codes& x, const float* dy, float* dw,
                      std::byte* workspace, ThreadPool& pool);

}  // namespace simaqat::kernels
