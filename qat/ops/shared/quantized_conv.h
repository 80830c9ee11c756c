// Conv of fake-quantized values in exact integers (kernels/quantized_conv.h): what its forms share.
#pragma once

#include "kernels/matrix_conv.h"
#include "kernels/quantized_conv.h"
#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/convolution.h"

namespace simaqat::ops {

// Inputs: Conv's own, x as its codes, w and perhaps a bias, then x's scale and zero point, and w's
// scale for each output channel.
enum QuantizedConvInput {
  kConvCodes,
  kConvWeight,
  kConvBias,
  kConvScale,
  kConvZeroPoint,
  kConvWeightScale,
  kQuantizedConvInputs
};

// Attributes derive from Conv's.
kernels::ConvShape quantizedConvShape(const Node& node, const ConvAttributes& attributes);
int64_t quantizedConvBytes(const kernels::ConvShape& shape, int threads);
void runQuantizedConv(const EvalContext& c, const kernels::ConvShape& shape,
                      const kernels::ConvResults& results);
// The same by the definition.
void evaluateQuantizedConv(const EvalContext& c, const kernels::ConvShape& shape, float* y);

}  // namespace simaqat::ops
