#include <cmath>

#include "kernels/quantized_conv.h"
#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/convolution.h"

namespace simaqat::ops {
namespace {

// Conv of fake-quantized values in exact integers (kernels/quantized_conv.h). Inputs: Conv's
// own, x, w and perhaps a bias, then x's scale and zero point, and w's scale for each output
// channel. The attributes are Conv's too.

enum Input { kX, kW, kBias, kScale, kZeroPoint, kWeightScale };

void infer(InferContext& c) {
  c.setOutput(0, c.input(0).element, inferConv(c, c.node.attributes<ConvAttributes>()));
}

kernels::ConvShape shapeOf(const Node& node) {
  return convShape(node, node.attributes<ConvAttributes>(), node.input(0)->type.dims(),
                   node.input(1)->type.dims());
}

void evaluate(const EvalContext& c) {
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const kernels::ConvShape shape = shapeOf(c.node);
    const int64_t channel_weights = c.in(kW).size / shape.out_channels;
    const int64_t plane = shape.out[0] * shape.out[1] * shape.out[2];
    const T x_scale = c.in(kScale).data<T>()[0];
    const T* w_scale = c.in(kWeightScale).data<T>();
    std::vector<double> sums(static_cast<size_t>(c.out().size));
    forEachProduct(shape, [&](int64_t xi, int64_t wi, int64_t yi) {
      const T scale = w_scale[wi / channel_weights];
      sums[static_cast<size_t>(yi)] += std::nearbyint(c.in(kX).data<T>()[xi] / x_scale) *
                                       std::nearbyint(c.in(kW).data<T>()[wi] / scale);
    });
    T* y = c.out().data<T>();
    for (int64_t i = 0; i < c.out().size; ++i) {
      const int64_t o = i / plane % shape.out_channels;
      const T bias = c.hasIn(kBias) ? c.in(kBias).data<T>()[o] : T{0};
      y[i] = static_cast<T>(sums[static_cast<size_t>(i)]) * (x_scale * w_scale[o]) + bias;
    }
  });
}

void kernel(const EvalContext& c) {
  const kernels::ConvShape shape = shapeOf(c.node);
  SIMAQAT_CHECK(kernels::quantizedConvFits(shape) && c.in(kWeightScale).size == shape.out_channels, "{}",
                c.node.describe());
  kernels::quantizedConv(shape, c.in(kX).data<float>(), *c.in(kScale).data<float>(),
                         *c.in(kZeroPoint).data<float>(), c.in(kW).data<float>(), c.in(kWeightScale).data<float>(),
                         c.hasIn(kBias) ? c.in(kBias).data<float>() : nullptr,
                         c.out().data<float>(), c.workspace, c.pool);
}

int64_t workspace(const Node& node, int threads) {
  return static_cast<int64_t>(kernels::quantizedConvWorkspace(shapeOf(node), threads));
}

}  // namespace

OpDefinition defineQuantizedConv() {
  OpDefinition op;
  op.name = "QuantizedConv";
  op.domain = "simaqat";
  op.min_inputs = 2;  // a bias may be absent
  op.max_inputs = 6;
  op.make_attributes = &makeAttributes<ConvAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.workspace = workspace;
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
