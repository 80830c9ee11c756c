#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/convolution.h"

namespace simaqat::ops {
namespace {

// dx of Conv, from inputs (dy, w); attribute 'shape' is x's.

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
  kernels::convInputGrad(shapeOf(c), c.in(0).data<float>(), c.in(1).data<float>(),
                         c.out().data<float>(), c.workspace, c.pool);
}

kernels::ConvShape staticShapeOf(const Node& node) {
  const auto& attributes = node.attributes<ConvGradientAttributes>();
  return convShape(node, attributes, attributes.shape, node.input(1)->type.dims());
}

int64_t workspace(const Node& node, int threads) {
  return static_cast<int64_t>(kernels::convInputGradWorkspace(staticShapeOf(node), threads));
}

}  // namespace

OpDefinition defineConvInputGradient() {
  OpDefinition op;
  op.name = "ConvInputGradient";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 2;
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
