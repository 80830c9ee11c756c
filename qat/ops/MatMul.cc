#include "qat/ops/shared/matmul.h"

#include <algorithm>

#include "kernels/gemm.h"
#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gradient_nodes.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  c.expectElement(1, c.input(0).element);
  c.setOutput(0, c.input(0).element, inferMatMul(c, 0, 1));
}

void evaluate(const EvalContext& c) {
  const Products p(c.node, c.in(0).dims, c.in(1).dims);
  visitNumber(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    c.pool.run(p.count * p.m, [&](int64_t row, int) {
      const auto [a_offset, b_offset] = p.offsets(row / p.m);
      const T* a = c.in(0).data<T>() + a_offset + row % p.m * p.k;
      const T* b = c.in(1).data<T>() + b_offset;
      T* y = c.out().data<T>() + row * p.n;
      std::fill(y, y + p.n, T{0});
      for (int64_t l = 0; l < p.k; ++l) {
        for (int64_t j = 0; j < p.n; ++j) y[j] = static_cast<T>(y[j] + a[l] * b[l * p.n + j]);
      }
    });
  });
}

void kernel(const EvalContext& c) {
  if (c.out().type != ElementType::kFloat) return evaluate(c);
  const Products p(c.node, c.in(0).dims, c.in(1).dims);
  const auto offsets = [](const void* products, int64_t i) {
    const auto [a, b] = static_cast<const Products*>(products)->offsets(i);
    return kernels::GemmOffsets{a, b};
  };
  kernels::gemms(kernels::Operands::kFloat, p.count, p.m, p.n, p.k, c.in(0).data<float>(),
                 c.in(1).data<float>(), offsets, &p, c.out().data<float>(), c.workspace, c.pool);
}

int64_t workspace(const Node& node, int threads) {
  const Products p(node, node.input(0)->type.dims(), node.input(1)->type.dims());
  return static_cast<int64_t>(
      kernels::gemmsWorkspace(kernels::Operands::kFloat, p.count, p.m, p.n, p.k, threads));
}

Value* gemm(GradientContext& c, Value* a, Value* b, const char* transposed) {
  auto attributes = c.graph.registry().get("Gemm").make_attributes();
  attributes->parse({{transposed, int64_t{1}}});
  return c.add("Gemm", {a, b}, std::move(attributes));
}

// With one right operand for all, whose gradient is then a sum over all rows.
void gradientOfOneMatrix(GradientContext& c, int64_t k, int64_t n) {
  Value* dy = reshaped(c, c.outputGradient(), {-1, n});
  if (c.wants(0)) {
    Value* b = reshaped(c, c.factor(c.input(1)), {k, n});
    c.setInputGradient(0, c.reshapeLike(gemm(c, dy, b, "transB"), c.input(0)));
  }
  if (c.wants(1)) {
    Value* a = reshaped(c, c.factor(c.input(0)), {-1, k});
    c.setInputGradient(1, c.reshapeLike(gemm(c, a, dy, "transA"), c.input(1)));
  }
}

void gradient(GradientContext& c) {
  const std::vector<int64_t> a_dims = c.input(0)->type.dims();
  const std::vector<int64_t> b_dims = c.input(1)->type.dims();
  const int64_t k = a_dims.back();
  const int64_t n = b_dims.size() == 1 ? 1 : b_dims.back();
  if (b_dims.size() <= 2 && c.output()->type.size() * k > 0) {
    return gradientOfOneMatrix(c, k, n);
  }
  Value* a = c.input(0);
  Value* dy = c.outputGradient();
  Value* a_factor = c.factor(a);
  if (a_dims.size() == 1) {
    a = reshaped(c, a, {1, k});
    a_factor = reshaped(c, a_factor, {1, k});
    std::vector<int64_t> dims = dy->type.dims();
    dims.insert(dims.end() - 1, 1);
    dy = reshaped(c, dy, dims);
  }
  if (c.wants(0)) {
    Value* da = c.sumTo(c.add("MatMul", {dy, matrixTranspose(c, c.factor(c.input(1)))}), a);
    c.setInputGradient(0, a == c.input(0) ? da : c.reshapeLike(da, c.input(0)));
  }
  if (c.wants(1)) {
    c.setInputGradient(1, c.sumTo(c.add("MatMul", {matrixTranspose(c, a_factor), dy}), c.input(1)));
  }
}

std::vector<OpExample> examples() {
  const auto two = [](std::vector<int64_t> a, std::vector<int64_t> b) {
    return std::vector<Tensor>{exampleTensor(std::move(a), 1), exampleTensor(std::move(b), 2)};
  };
  return {
      {"matrices", {}, two({2, 3}, {3, 4})},
      {"batch", {}, two({5, 2, 3}, {5, 3, 4})},
      {"heads", {}, two({2, 3, 4, 2}, {2, 3, 2, 5})},
      {"one right operand", {}, two({2, 3, 2, 4}, {4, 3})},
      {"one left operand", {}, two({2, 4}, {3, 4, 2})},
      {"both broadcast", {}, two({2, 1, 2, 3}, {4, 3, 2})},
      {"row", {}, two({3}, {2, 3, 4})},
      {"column", {}, two({2, 2, 3}, {3})},
      {"inner product", {}, two({3}, {3})},
      {"integers", {}, {exampleIntegers({2, 3}, 0, 9, 1), exampleIntegers({3, 2}, 0, 9, 2)}},
  };
}

}  // namespace

OpDefinition defineMatMul() {
  OpDefinition op;
  op.name = "MatMul";
  op.min_inputs = op.max_inputs = 2;
  op.infer = infer;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.workspace = workspace;
  op.operations = [](const Node& node) {
    return 2.0 * static_cast<double>(node.output()->type.size()) *
           static_cast<double>(node.input(0)->type.dims().back());
  };
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kComputes;
  op.quantization.fuses_batch_norm = true;
  op.quantization.fuses_activation = true;
  op.quantization.weight_input = 1;
  op.quantization.weight_axis = [](const Node& node) -> int64_t {
    return node.input(1)->type.rank() == 2 ? 1 : -1;
  };
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
