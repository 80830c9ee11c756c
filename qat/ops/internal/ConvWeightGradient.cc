#include "kernels/matrix_conv.h"
#include "kernels/winograd_conv.h"
#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/convolution.h"

namespace simaqat::ops {
namespace {

// dw of Conv, from inputs (x, dy); attribute 'shape' is w's. With further inputs, a scale and a zero
// point, x is given by its codes.

void infer(InferContext& c) {
  c.setOutput(0, c.input(1).element, toShape(c.node.attributes<ConvGradientAttributes>().shape));
}

kernels::ConvShape shapeOf(const EvalContext& c) {
  return convShape(c.node, c.node.attributes<ConvGradientAttributes>(), c.in(0).dims,
                   c.node.attributes<ConvGradientAttributes>().shape);
}

void evaluate(const EvalContext& c) {
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* a = c.in(0).data<T>();
    const T* b = c.in(1).data<T>();
    T* out = c.out().data<T>();
    std::fill(out, out + c.out().size, T{0});
    forEachProduct(shapeOf(c), [&](int64_t xi, int64_t wi, int64_t yi) { out[wi] += a[xi] * b[yi]; });
  });
}

void kernel(const EvalContext& c) {
  const kernels::ConvShape shape = shapeOf(c);
  const float* dy = c.in(1).data<float>();
  float* dw = c.out().data<float>();
  if (!c.hasIn(2)) {
    kernels::convWeightGrad(shape, operandsOf(c.node), c.in(0).data<float>(), dy, dw, c.workspace,
                            c.pool);
    return;
  }
  const kernels::Codes x{c.in(0).data<uint8_t>(), *c.in(2).data<float>(), *c.in(3).data<float>()};
  if (kernels::convFitsMatrixTiles(shape)) {
    kernels::matrixWeightGrad(shape, x, dy, dw, c.workspace, c.pool);
  } else if (fitsWinograd(shape, operandsOf(c.node))) {
    kernels::winogradWeightGrad(shape, x, dy, dw, c.workspace, c.pool);
  } else {
    kernels::convWeightGrad(shape, operandsOf(c.node), x, dy, dw, c.workspace, c.pool);
  }
}

kernels::ConvShape staticShapeOf(const Node& node) {
  const auto& attributes = node.attributes<ConvGradientAttributes>();
  return convShape(node, attributes, node.input(0)->type.dims(), attributes.shape);
}

size_t workspaceOf(const kernels::ConvShape& shape, kernels::Operands operands, bool is_quantized,
                   int threads) {
  if (is_quantized && kernels::convFitsMatrixTiles(shape)) {
    return kernels::matrixWeightGradWorkspace(shape, threads);
  }
  if (is_quantized && fitsWinograd(shape, operands)) {
    return kernels::winogradWeightGradWorkspace(shape, threads);
  }
  return kernels::convWeightGradWorkspace(shape, operands, threads);
}

int64_t workspace(const Node& node, int threads) {
  return static_cast<int64_t>(
      workspaceOf(staticShapeOf(node), operandsOf(node), node.input(2) != nullptr, threads));
}

}  // namespace

OpDefinition defineConvWeightGradient() {
  OpDefinition op;
  op.name = "ConvWeightGradient";
  op.domain = "simaqat";
  op.min_inputs = 2;
  op.max_inputs = 4;
  op.make_attributes = &makeAttributes<ConvGradientAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.workspace = workspace;
  op.operations = [](const Node& node) { return convOperations(staticShapeOf(node)); };
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
