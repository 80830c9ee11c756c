#include "kernels/gemm.h"
#include "qat/ir/op.h"
#include "qat/ops/shared/gemm_attributes.h"

namespace simaqat::ops {
namespace {

// Gemm of two matrices, a gradient, with operands rounded to bfloat16 (kernels/operands.h). The
// attributes are Gemm's.

struct Sizes {
  int64_t m, n, k;
};
Sizes sizesOf(const Node& node) {
  const auto& attributes = node.attributes<GemmAttributes>();
  const std::vector<int64_t> a = node.input(0)->type.dims(), b = node.input(1)->type.dims();
  return {a[attributes.transA ? 1 : 0], b[attributes.transB ? 0 : 1], a[attributes.transA ? 0 : 1]};
}

void infer(InferContext& c) {
  c.expectRank(0, 2);
  c.expectRank(1, 2);
  const Sizes s = sizesOf(c.node);
  c.setOutput(0, c.input(0).element, Shape{s.m, s.n});
}

void evaluate(const EvalContext& c) {
  const auto& attributes = c.node.attributes<GemmAttributes>();
  const Sizes s = sizesOf(c.node);
  kernels::gemm(kernels::Operands::kBfloat16, attributes.transA, attributes.transB, s.m, s.n, s.k,
                attributes.alpha, c.in(0).data<float>(), c.in(1).data<float>(), 0.0f,
                c.out().data<float>(), c.workspace, c.pool);
}

int64_t workspace(const Node& node, int threads) {
  const Sizes s = sizesOf(node);
  return static_cast<int64_t>(
      kernels::gemmWorkspace(kernels::Operands::kBfloat16, s.m, s.n, s.k, threads));
}

}  // namespace

OpDefinition defineBfloat16Gemm() {
  OpDefinition op;
  op.name = "Bfloat16Gemm";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 2;
  op.make_attributes = &makeAttributes<GemmAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.workspace = workspace;
  op.operations = [](const Node& node) {
    const Sizes s = sizesOf(node);
    return 2.0 * static_cast<double>(s.m * s.n) * static_cast<double>(s.k);
  };
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
