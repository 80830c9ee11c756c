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
  const auto grad = [&](const auto& x) {
    kernels::convWeightGrad(shapeOf(c), x, c.in(1).data<float>(), c.out().data<float>(),
                            c.workspace, c.pool);
  };
  if (c.hasIn(2)) {
    grad(kernels::Codes{c.in(0).data<uint8_t>(), *c.in(2).data<float>(), *c.in(3).data<float>()});
  } else {
    grad(c.in(0).data<float>());
  }
}

kernels::ConvShape staticShapeOf(const Node& node) {
  const auto& attributes = node.attributes<ConvGradientAttributes>();
  return convShape(node, attributes, node.input(0)->type.dims(), attributes.shape);
}

int64_t workspace(const Node& node, int threads) {
  return static_cast<int64_t>(kernels::convWeightGradWorkspace(staticShapeOf(node), threads));
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
