// Convolution where each channel is a group of its own, and its gradients. conv.h has the formulas,
// and conv.cc and quantized_conv.cc call these for such shapes.
#pragma once

#include <cstddef>

#include "kernels/conv.h"
#include "kernels/conv_results.h"

namespace simaqat::kernels {

size_t depthwiseForwardWorkspace(const ConvShape& shape, Sums sums, int threads);
void depthwiseForward(const ConvShape& shape, Sums sums, const float* x, const float* w,
                      const float* bias, float* y, std::byte* workspace, ThreadPool& pool);

// quantized_conv.h. Products and sums of codes are integers below 2^24, which floats hold exactly,
// so that the result is the same as that of integers.
bool depthwiseCodesFit(const ConvShape& shape);
size_t depthwiseCodesWorkspace(const ConvShape& shape, int threads);
void depthwiseCodes(const ConvShape& shape, const Codes& x, const float* w, const float* w_scale,
                    const float* bias, const ConvResults& results, std::byte* workspace,
                    ThreadPool& pool);

size_t depthwiseInputGradWorkspace(const ConvShape& shape, int threads);
void depthwiseInputGrad(const ConvShape& shape, const float* dy, const float* w, float* dx,
                        std::byte* workspace, ThreadPool& pool);

size_t depthwiseWeightGradWorkspace(const ConvShape& shape, int threads);
void depthwiseWeightGrad(const ConvShape& shape, const float* x, const float* dy, float* dw,
                         std::byte* workspace, ThreadPool& pool);
void depthwiseWeightGrad(const ConvShape& shape, const Codes& x, const float* dy, float* dw,
                         std::byte* workspace, ThreadPool& pool);

}  // namespace simaqat::kernels
