#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/conv_transpose.h"

namespace simaqat::ops {
namespace {

// dw of ConvTranspose, from inputs (x, dy). Attribute 'shape' is w's.

void infer(InferContext& c) {
  c.setOutput(0, c.input(0).element,
              toShape(c.node.attributes<ConvTransposeGradientAttributes>().shape));
}

kernels::ConvShape shapeOf(const Node& node, Span<const int64_t> x) {
  const auto& attributes = node.attributes<ConvTransposeGradientAttributes>();
  return convTransposeShape(node, attributes, x, attributes.shape);
}

void evaluate(const EvalContext& c) {
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* x = c.in(0).data<T>();
    const T* dy = c.in(1).data<T>();
    T* dw = c.out().data<T>();
    std::fill(dw, dw + c.out().size, T{0});
    forEachProduct(shapeOf(c.node, c.in(0).dims),
                   [&](int64_t yi, int64_t wi, int64_t xi) { dw[wi] += dy[yi] * x[xi]; });
  });
}

void kernel(const EvalContext& c) {
  kernels::convWeightGrad(shapeOf(c.node, c.in(0).dims), kernels::Operands::kFloat,
                          c.in(1).data<float>(), c.in(0).data<float>(), c.out().data<float>(),
                          c.workspace, c.pool);
}

int64_t workspace(const Node& node, int threads) {
  return static_cast<int64_t>(kernels::convWeightGradWorkspace(
      shapeOf(node, node.input(0)->type.dims()), kernels::Operands::kFloat, threads));
}

}  // namespace

OpDefinition defineConvTransposeWeightGradient() {
  OpDefinition op;
  op.name = "ConvTransposeWeightGradient";
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
