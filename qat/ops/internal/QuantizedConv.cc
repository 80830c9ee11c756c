#include "qat/ops/shared/quantized_conv.h"

namespace simaqat::ops {
namespace {

// Conv of fake-quantized values. The attributes are Conv's. The second output, where there is one,
// has each output channel's numbers for BatchNormalization, [channel][4] (kernels/conv_results.h).

enum Output { kY, kMoments };

bool wantsMoments(const Node& node) { return node.outputCount() > kMoments; }

void infer(InferContext& c) {
  c.setOutput(kY, c.input(kConvWeight).element, inferConv(c, c.node.attributes<ConvAttributes>()));
  if (!wantsMoments(c.node)) return;
  const Shape* w = c.shape(kConvWeight);
  c.setOutput(kMoments, ElementType::kDouble,
              w == nullptr ? std::nullopt
                           : std::optional<Shape>(Shape{(*w)[0], kernels::kMomentsOfChannel}));
}

kernels::ConvShape shapeOf(const Node& node) {
  return quantizedConvShape(node, node.attributes<ConvAttributes>());
}

void evaluate(const EvalContext& c) {
  const kernels::ConvShape shape = shapeOf(c.node);
  float* y = c.out(kY).data<float>();
  evaluateQuantizedConv(c, shape, y);
  if (!wantsMoments(c.node)) return;
  kernels::channelMoments(y, shape.batch, shape.out_channels,
                          shape.out[0] * shape.out[1] * shape.out[2],
                          c.out(kMoments).data<double>(), c.pool);
}

void kernel(const EvalContext& c) {
  kernels::ConvResults results;
  results.y = c.out(kY).data<float>();
  if (wantsMoments(c.node)) results.moments = c.out(kMoments).data<double>();
  runQuantizedConv(c, shapeOf(c.node), results);
}

}  // namespace

OpDefinition defineQuantizedConv() {
  OpDefinition op;
  op.name = "QuantizedConv";
  op.domain = "simaqat";
  op.min_inputs = 2;  // a bias may be absent
  op.max_inputs = kQuantizedConvInputs;
  op.max_outputs = 2;
  op.make_attributes = &makeAttributes<ConvAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.workspace = [](const Node& node, int threads) {
    return quantizedConvBytes(shapeOf(node), threads);
  };
  op.operations = [](const Node& node) { return convOperations(shapeOf(node)); };
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
