#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/conv_transpose.h"

namespace simaqat::ops {
namespace {

// dx of ConvTranspose, from inputs (dy, w): a convolution of dy. Attribute 'shape' is x's.

void infer(InferContext& c) {
  c.setOutput(0, c.input(0).element,
              toShape(c.node.attributes<ConvTransposeGradientAttributes>().shape));
}

kernels::ConvShape shapeOf(const Node& node, Span<const int64_t> w) {
  const auto& attributes = node.attributes<ConvTransposeGradientAttributes>();
  return convTransposeShape(node, attributes, attributes.shape, w);
}

void evaluate(const EvalContext& c) {
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* dy = c.in(0).data<T>();
    const T* w = c.in(1).data<T>();
    T* dx = c.out().data<T>();
    std::fill(dx, dx + c.out().size, T{0});
    forEachProduct(shapeOf(c.node, c.in(1).dims),
                   [&](int64_t yi, int64_t wi, int64_t xi) { dx[xi] += dy[yi] * w[wi]; });
  });
}

void kernel(const EvalContext& c) {
  kernels::convForward(shapeOf(c.node, c.in(1).dims), kernels::Sums::kFloat, c.in(0).data<float>(),
                       c.in(1).data<float>(), nullptr, c.out().data<float>(), c.workspace, c.pool);
}

int64_t workspace(const Node& node, int threads) {
  return static_cast<int64_t>(kernels::convForwardWorkspace(
      shapeOf(node, node.input(1)->type.dims()), kernels::Sums::kFloat, threads));
}

}  // namespace

OpDefinition defineConvTransposeInputGradient() {
  OpDefinition op;
  op.name = "ConvTransposeInputGradient";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 2;
  op.make_attributes = &makeAttributes<ConvTransposeGradientAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.workspace = workspace;
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
