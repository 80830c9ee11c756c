#include <cmath>

#include "kernels/quantized_conv.h"
#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/convolution.h"

namespace simaqat::ops {
namespace {

// Conv of fake-quantized values in exact integers (kernels/quantized_conv.h). Inputs: Conv's
// own, x as its codes, w and perhaps a bias, then x's scale and zero point, and w's scale for each
// output channel. The attributes are Conv's too.

enum Input { kX, kW, kBias, kScale, kZeroPoint, kWeightScale };

void infer(InferContext& c) {
  c.setOutput(0, c.input(kW).element, inferConv(c, c.node.attributes<ConvAttributes>()));
}

kernels::ConvShape shapeOf(const Node& node) {
  return convShape(node, node.attributes<ConvAttributes>(), node.input(0)->type.dims(),
                   node.input(1)->type.dims());
}

void evaluate(const EvalContext& c) {
  const kernels::ConvShape shape = shapeOf(c.node);
  const int64_t channel_weights = c.in(kW).size / shape.out_channels;
  const int64_t plane = shape.out[0] * shape.out[1] * shape.out[2];
  const float x_scale = *c.in(kScale).data<float>();
  const double zero_point = *c.in(kZeroPoint).data<float>();
  const float* w_scale = c.in(kWeightScale).data<float>();
  std::vector<double> sums(static_cast<size_t>(c.out().size));
  forEachProduct(shape, [&](int64_t xi, int64_t wi, int64_t yi) {
    const float scale = w_scale[wi / channel_weights];
    sums[static_cast<size_t>(yi)] += (c.in(kX).data<uint8_t>()[xi] - zero_point) *
                                     std::nearbyint(c.in(kW).data<float>()[wi] / scale);
  });
  float* y = c.out().data<float>();
  for (int64_t i = 0; i < c.out().size; ++i) {
    const int64_t o = i / plane % shape.out_channels;
    const float bias = c.hasIn(kBias) ? c.in(kBias).data<float>()[o] : 0.0f;
    y[i] = static_cast<float>(sums[static_cast<size_t>(i)]) * (x_scale * w_scale[o]) + bias;
  }
}

void kernel(const EvalContext& c) {
  const kernels::ConvShape shape = shapeOf(c.node);
  SIMAQAT_CHECK(kernels::quantizedConvFits(shape) && c.in(kWeightScale).size == shape.out_channels, "{}",
                c.node.describe());
  kernels::quantizedConv(shape, c.in(kX).data<uint8_t>(), *c.in(kScale).data<float>(),
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
  op.operations = [](const Node& node) { return convOperations(shapeOf(node)); };
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
