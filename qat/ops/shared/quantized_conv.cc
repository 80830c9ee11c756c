#include "qat/ops/shared/quantized_conv.h"

#include <cmath>

namespace simaqat::ops {

kernels::ConvShape quantizedConvShape(const Node& node, const ConvAttributes& attributes) {
  return convShape(node, attributes, node.input(kConvCodes)->type.dims(),
                   node.input(kConvWeight)->type.dims());
}

int64_t quantizedConvBytes(const kernels::ConvShape& shape, int threads) {
  return static_cast<int64_t>(kernels::convFitsMatrixTiles(shape)
                                  ? kernels::matrixConvWorkspace(shape, threads)
                                  : kernels::quantizedConvWorkspace(shape, threads));
}

void runQuantizedConv(const EvalContext& c, const kernels::ConvShape& shape,
                      const kernels::ConvResults& results) {
  SIMAQAT_CHECK(
      kernels::quantizedConvFits(shape) && c.in(kConvWeightScale).size == shape.out_channels, "{}",
      c.node.describe());
  const float* bias = c.hasIn(kConvBias) ? c.in(kConvBias).data<float>() : nullptr;
  const kernels::Codes x{c.in(kConvCodes).data<uint8_t>(), *c.in(kConvScale).data<float>(),
                         *c.in(kConvZeroPoint).data<float>()};
  const auto convolve =
      kernels::convFitsMatrixTiles(shape) ? kernels::matrixConv : kernels::quantizedConv;
  convolve(shape, x, c.in(kConvWeight).data<float>(), c.in(kConvWeightScale).data<float>(), bias,
           results, c.workspace, c.pool);
}

void evaluateQuantizedConv(const EvalContext& c, const kernels::ConvShape& shape, float* y) {
  const int64_t channel_weights = c.in(kConvWeight).size / shape.out_channels;
  const int64_t plane = shape.out[0] * shape.out[1] * shape.out[2];
  const float x_scale = *c.in(kConvScale).data<float>();
  const double zero_point = *c.in(kConvZeroPoint).data<float>();
  const float* w_scale = c.in(kConvWeightScale).data<float>();
  const int64_t size = shape.batch * shape.out_channels * plane;
  std::vector<double> sums(static_cast<size_t>(size));
  forEachProduct(shape, [&](int64_t xi, int64_t wi, int64_t yi) {
    const float scale = w_scale[wi / channel_weights];
    sums[static_cast<size_t>(yi)] += (c.in(kConvCodes).data<uint8_t>()[xi] - zero_point) *
                                     std::nearbyint(c.in(kConvWeight).data<float>()[wi] / scale);
  });
  for (int64_t i = 0; i < size; ++i) {
    const int64_t o = i / plane % shape.out_channels;
    const float bias = c.hasIn(kConvBias) ? c.in(kConvBias).data<float>()[o] : 0.0f;
    y[i] = static_cast<float>(sums[static_cast<size_t>(i)]) * (x_scale * w_scale[o]) + bias;
  }
}

}  // namespace simaqat::ops
