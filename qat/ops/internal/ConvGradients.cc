#include "kernels/matrix_conv.h"
#include "qat/ops/shared/convolution.h"

namespace simaqat::ops {
namespace {

// dx and dw of Conv in one pass over dy (kernels/conv.h, convGrads). The attributes are Conv's, and
// what operands are rounded to.
// Inputs: dy, w, and x or its codes; where w is fake-quantized its scale for each output channel;
// and the codes' scale and zero point.
enum Input { kDy, kW, kX, kWeightScale, kXScale, kXZeroPoint, kInputs };

void infer(InferContext& c) {
  c.setOutput(0, c.input(kDy).element, c.input(kX).shape);
  c.setOutput(1, c.input(kDy).element, c.input(kW).shape);
}

kernels::ConvShape shapeOf(const Node& node) {
  return convShape(node, node.attributes<ConvGradientsAttributes>(), node.input(kX)->type.dims(),
                   node.input(kW)->type.dims());
}

bool isQuantized(const Node& node) {
  return node.input(kWeightScale) != nullptr && node.input(kXScale) != nullptr;
}

void evaluate(const EvalContext& c) {
  const kernels::ConvShape shape = shapeOf(c.node);
  const float* dy = c.in(kDy).data<float>();
  const float* w = c.in(kW).data<float>();
  float* dx = c.out(0).data<float>();
  float* dw = c.out(1).data<float>();
  const kernels::Operands operands = operandsOf<ConvGradientsAttributes>(c.node);
  if (!c.hasIn(kXScale)) {
    kernels::convGrads(shape, operands, c.in(kX).data<float>(), dy, w, dx, dw, c.workspace, c.pool);
    return;
  }
  const kernels::Codes x{c.in(kX).data<uint8_t>(), *c.in(kXScale).data<float>(),
                         *c.in(kXZeroPoint).data<float>()};
  if (isQuantized(c.node) && kernels::convFitsMatrixTiles(shape)) {
    kernels::matrixInputGrad(shape, dy, w, c.in(kWeightScale).data<float>(), dx, c.workspace,
                             c.pool);
    kernels::matrixWeightGrad(shape, x, dy, dw, c.workspace, c.pool);
    return;
  }
  kernels::convGrads(shape, operands, x, dy, w, dx, dw, c.workspace, c.pool);
}

int64_t workspace(const Node& node, int threads) {
  const kernels::ConvShape shape = shapeOf(node);
  if (isQuantized(node) && kernels::convFitsMatrixTiles(shape)) {
    return static_cast<int64_t>(std::max(kernels::matrixInputGradWorkspace(shape, threads),
                                         kernels::matrixWeightGradWorkspace(shape, threads)));
  }
  return static_cast<int64_t>(
      kernels::convGradsWorkspace(shape, operandsOf<ConvGradientsAttributes>(node), threads));
}

}  // namespace

OpDefinition defineConvGradients() {
  OpDefinition op;
  op.name = "ConvGradients";
  op.domain = "simaqat";
  op.min_inputs = kX + 1;
  op.max_inputs = kInputs;
  op.min_outputs = op.max_outputs = 2;
  op.make_attributes = &makeAttributes<ConvGradientsAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.workspace = workspace;
  op.operations = [](const Node& node) { return 2 * convOperations(shapeOf(node)); };
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
