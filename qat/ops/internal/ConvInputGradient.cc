#include "kernels/matrix_conv.h"
#include "kernels/winograd_conv.h"
#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/convolution.h"

namespace simaqat::ops {
namespace {

// dx of Conv, from inputs (dy, w); attribute 'shape' is x's. A third input says that w is fake-quantized:
// its scale for each output channel.

void infer(InferContext& c) {
  c.setOutput(0, c.input(0).element, toShape(c.node.attributes<ConvGradientAttributes>().shape));
}

kernels::ConvShape shapeOf(const EvalContext& c) {
  return convShape(c.node, c.node.attributes<ConvGradientAttributes>(), c.node.attributes<ConvGradientAttributes>().shape,
                   c.in(1).dims);
}

void evaluate(const EvalContext& c) {
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* a = c.in(0).data<T>();
    const T* b = c.in(1).data<T>();
    T* out = c.out().data<T>();
    std::fill(out, out + c.out().size, T{0});
    forEachProduct(shapeOf(c), [&](int64_t xi, int64_t wi, int64_t yi) { out[xi] += b[wi] * a[yi]; });
  });
}

void kernel(const EvalContext& c) {
  const kernels::ConvShape shape = shapeOf(c);
  const float* dy = c.in(0).data<float>();
  const float* w = c.in(1).data<float>();
  if (c.hasIn(2) && kernels::convFitsMatrixTiles(shape)) {
    kernels::matrixInputGrad(shape, dy, w, c.in(2).data<float>(), c.out().data<float>(),
                             c.workspace, c.pool);
  } else if (c.hasIn(2) && fitsWinograd(shape, operandsOf(c.node))) {
    kernels::winogradInputGrad(shape, dy, w, c.out().data<float>(), c.workspace, c.pool);
  } else {
    kernels::convInputGrad(shape, operandsOf(c.node), dy, w, c.out().data<float>(), c.workspace,
                           c.pool);
  }
}

kernels::ConvShape staticShapeOf(const Node& node) {
  const auto& attributes = node.attributes<ConvGradientAttributes>();
  return convShape(node, attributes, attributes.shape, node.input(1)->type.dims());
}

size_t workspaceOf(const kernels::ConvShape& shape, kernels::Operands operands, bool is_quantized,
                   int threads) {
  if (is_quantized && kernels::convFitsMatrixTiles(shape)) {
    return kernels::matrixInputGradWorkspace(shape, threads);
  }
  if (is_quantized && fitsWinograd(shape, operands)) {
    return kernels::winogradInputGradWorkspace(shape, threads);
  }
  return kernels::convInputGradWorkspace(shape, operands, threads);
}

int64_t workspace(const Node& node, int threads) {
  return static_cast<int64_t>(
      workspaceOf(staticShapeOf(node), operandsOf(node), node.input(2) != nullptr, threads));
}

}  // namespace

OpDefinition defineConvInputGradient() {
  OpDefinition op;
  op.name = "ConvInputGradient";
  op.domain = "simaqat";
  op.min_inputs = 2;
  op.max_inputs = 3;
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
