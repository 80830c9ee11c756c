#include "kernels/gemm.h"
#include "qat/ops/shared/matmul.h"

namespace simaqat::ops {
namespace {

// MatMul, a gradient, with operands rounded to bfloat16 (kernels/operands.h).

Products productsOf(const Node& node) {
  return Products(node, node.input(0)->type.dims(), node.input(1)->type.dims());
}

void evaluate(const EvalContext& c) {
  const Products p = productsOf(c.node);
  const auto offsets = [](const void* products, int64_t i) {
    const auto [a, b] = static_cast<const Products*>(products)->offsets(i);
    return kernels::GemmOffsets{a, b};
  };
  kernels::gemms(kernels::Operands::kBfloat16, p.count, p.m, p.n, p.k, c.in(0).data<float>(),
                 c.in(1).data<float>(), offsets, &p, c.out().data<float>(), c.workspace, c.pool);
}

int64_t workspace(const Node& node, int threads) {
  const Products p = productsOf(node);
  return static_cast<int64_t>(
      kernels::gemmsWorkspace(kernels::Operands::kBfloat16, p.count, p.m, p.n, p.k, threads));
}

}  // namespace

OpDefinition defineBfloat16MatMul() {
  OpDefinition op;
  op.name = "Bfloat16MatMul";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 2;
  op.infer = [](InferContext& c) { c.setOutput(0, c.input(0).element, inferMatMul(c, 0, 1)); };
  op.evaluate = evaluate;
  op.workspace = workspace;
  op.operations = [](const Node& node) {
    return 2.0 * static_cast<double>(node.output()->type.size()) *
           static_cast<double>(node.input(0)->type.dims().back());
  };
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
