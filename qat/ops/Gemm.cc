#include "kernels/gemm.h"

#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gemm_attributes.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  const auto& attributes = c.node.attributes<GemmAttributes>();
  c.expectRank(0, 2);
  c.expectRank(1, 2);
  for (size_t i = 1; i < 3; ++i) c.expectElement(i, c.input(0).element);
  Shape y(2);
  if (const Shape* a = c.shape(0)) y[0] = (*a)[attributes.transA ? 1 : 0];
  if (const Shape* b = c.shape(1)) y[1] = (*b)[attributes.transB ? 0 : 1];
  if (c.shape(0) != nullptr && c.shape(1) != nullptr) {
    const Dim& inner = (*c.shape(0))[attributes.transA ? 0 : 1];
    const Dim& rows = (*c.shape(1))[attributes.transB ? 1 : 0];
    if (inner.known() && rows.known() && inner.value != rows.value) {
      c.node.fail("input 1: expected {} rows, got {}{}", inner.value, typeToString(c.input(1)),
                  attributes.transB ? " (transposed)" : "");
    }
  }
  if (const Shape* bias = c.shape(2)) {
    const auto both = broadcastShapes(c.node, &y, bias);
    // What the bias alone knows is the result's too, but it must not make the result larger.
    const auto grows = [&](size_t axis) {
      return y[axis].known() && (*both)[axis].known() && y[axis].value != (*both)[axis].value;
    };
    if (both->size() != 2 || grows(0) || grows(1)) {
      c.node.fail("input 2: expected a shape that broadcasts to {}, got {}", shapeToString(y),
                  shapeToString(*bias));
    }
  }
  c.setOutput(0, c.input(0).element, y);
}

struct Sizes {
  int64_t m, n, k;
};
template <class A, class B>
Sizes sizesOf(const GemmAttributes& attributes, const A& a, const B& b) {
  return {a[attributes.transA ? 1 : 0], b[attributes.transB ? 0 : 1], a[attributes.transA ? 0 : 1]};
}

// y = beta * C, broadcast, to which the product is added.
template <class T>
void startWithBias(const EvalContext& c, T beta) {
  const std::array<TensorView, 2> operands = {c.in(2), c.out()};
  const EvalContext bias{c.node, {operands.data(), 2}, c.outputs, nullptr, c.pool};
  mapBinary<T, T>(bias, [beta](T value, T) { return beta * value; });
}

void evaluate(const EvalContext& c) {
  const auto& attributes = c.node.attributes<GemmAttributes>();
  const Sizes s = sizesOf(attributes, c.in(0).dims, c.in(1).dims);
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* a = c.in(0).data<T>();
    const T* b = c.in(1).data<T>();
    T* y = c.out().data<T>();
    if (c.hasIn(2)) startWithBias(c, static_cast<T>(attributes.beta));
    for (int64_t i = 0; i < s.m; ++i) {
      for (int64_t j = 0; j < s.n; ++j) {
        T sum = 0;
        for (int64_t p = 0; p < s.k; ++p) {
          sum += a[attributes.transA ? p * s.m + i : i * s.k + p] *
                 b[attributes.transB ? j * s.k + p : p * s.n + j];
        }
        sum *= static_cast<T>(attributes.alpha);
        y[i * s.n + j] = c.hasIn(2) ? y[i * s.n + j] + sum : sum;
      }
    }
  });
}

void kernel(const EvalContext& c) {
  const auto& attributes = c.node.attributes<GemmAttributes>();
  const Sizes s = sizesOf(attributes, c.in(0).dims, c.in(1).dims);
  if (c.hasIn(2)) startWithBias(c, attributes.beta);
  kernels::gemm(kernels::Operands::kFloat, attributes.transA, attributes.transB, s.m, s.n, s.k,
                attributes.alpha, c.in(0).data<float>(), c.in(1).data<float>(),
                c.hasIn(2) ? 1.0f : 0.0f, c.out().data<float>(), c.workspace, c.pool);
}

int64_t workspace(const Node& node, int threads) {
  const Sizes s = sizesOf(node.attributes<GemmAttributes>(), node.input(0)->type.dims(),
                          node.input(1)->type.dims());
  return static_cast<int64_t>(
      kernels::gemmWorkspace(kernels::Operands::kFloat, s.m, s.n, s.k, threads));
}

// op(A)' = dY op(B)^T and op(B)' = op(A)^T dY, each transposed where its operand is.
void gradient(GradientContext& c) {
  const auto& attributes = c.node.attributes<GemmAttributes>();
  const auto product = [&](Value* left, bool trans_left, Value* right, bool trans_right) {
    GemmAttributes own;
    own.alpha = attributes.alpha;
    own.transA = trans_left;
    own.transB = trans_right;
    return c.add("Gemm", {left, right}, own);
  };
  Value* a = c.factor(c.input(0));
  Value* b = c.factor(c.input(1));
  Value* dy = c.outputGradient();
  if (c.wants(0)) {
    c.setInputGradient(0, attributes.transA ? product(b, attributes.transB, dy, true)
                                            : product(dy, false, b, !attributes.transB));
  }
  if (c.wants(1)) {
    c.setInputGradient(1, attributes.transB ? product(dy, true, a, attributes.transA)
                                            : product(a, !attributes.transA, dy, false));
  }
  if (c.wants(2)) {
    Value* dc = c.sumTo(dy, c.input(2));
    if (attributes.beta != 1) dc = c.add("Mul", {dc, c.scalar(attributes.beta, dc)});
    c.setInputGradient(2, dc);
  }
}

std::vector<OpExample> examples() {
  const auto flags = [](int64_t a, int64_t b) {
    return AttributeMap{{"transA", a}, {"transB", b}};
  };
  return {
      {"plain", {}, {exampleTensor({3, 4}, 1), exampleTensor({4, 2}, 2)}},
      {"linear",
       flags(0, 1),
       {exampleTensor({3, 4}, 1), exampleTensor({2, 4}, 2), exampleTensor({2}, 3)}},
      {"transposed A", flags(1, 0), {exampleTensor({4, 3}, 1), exampleTensor({4, 2}, 2)}},
      {"transposed both",
       flags(1, 1),
       {exampleTensor({4, 3}, 1), exampleTensor({2, 4}, 2), exampleTensor({3, 1}, 3)}},
      {"factors",
       {{"alpha", 0.5f}, {"beta", 2.0f}},
       {exampleTensor({3, 4}, 1), exampleTensor({4, 2}, 2), exampleTensor({3, 2}, 3)}},
      {"scalar bias",
       {{"beta", -0.5f}},
       {exampleTensor({3, 4}, 1), exampleTensor({4, 2}, 2), exampleTensor({}, 3)}},
  };
}

}  // namespace

OpDefinition defineGemm() {
  OpDefinition op;
  op.name = "Gemm";
  op.first_opset = 7;
  op.min_inputs = 2;
  op.max_inputs = 3;
  op.make_attributes = &makeAttributes<GemmAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.workspace = workspace;
  op.operations = [](const Node& node) {
    const auto m = static_cast<double>(std::max<int64_t>(1, node.output()->type.dims()[0]));
    return 2.0 * static_cast<double>(node.output()->type.size()) *
           (static_cast<double>(node.input(0)->type.size()) / m);
  };
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kComputes;
  op.quantization.fuses_batch_norm = true;
  op.quantization.fuses_activation = true;
  op.quantization.weight_input = 1;
  op.quantization.bias_input = 2;
  op.quantization.weight_axis = [](const Node& node) -> int64_t {
    return node.attributes<GemmAttributes>().transB ? 0 : 1;
  };
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
