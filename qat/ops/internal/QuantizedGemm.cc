#include <cmath>

#include "kernels/quantized_gemm.h"
#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/quantized_gemm_attributes.h"

namespace simaqat::ops {
namespace {

// Gemm, or MatMul with one right operand for all, of fake-quantized values in exact integers
// (kernels/quantized_gemm.h). Inputs: x as its codes, [..., K], w, [K, N] or with transB [N, K],
// perhaps a bias with N elements, x's scale and zero point, and w's scale for each column.

enum Input { kX, kW, kBias, kScale, kZeroPoint, kWeightScale, kInputs };

bool transposed(const Node& node) { return node.attributes<QuantizedGemmAttributes>().transB; }

void infer(InferContext& c) {
  const Shape* x = c.shape(kX);
  const Shape* w = c.shape(kW);
  std::optional<Shape> y;
  if (x != nullptr && w != nullptr) {
    y = *x;
    y->back() = (*w)[transposed(c.node) ? 0 : 1];
  }
  c.setOutput(0, c.input(kW).element, std::move(y));
}

kernels::QuantizedGemmShape shapeOf(const Node& node) {
  const TensorType& x = node.input(kX)->type;
  const int64_t n = node.output()->type.dims().back();
  const int64_t k = x.dims().back();
  return {k == 0 ? node.output()->type.size() / std::max<int64_t>(n, 1) : x.size() / k, n, k,
          transposed(node)};
}

void evaluate(const EvalContext& c) {
  const kernels::QuantizedGemmShape s = shapeOf(c.node);
  const uint8_t* x = c.in(kX).data<uint8_t>();
  const float* w = c.in(kW).data<float>();
  const float* w_scale = c.in(kWeightScale).data<float>();
  const double zero_point = *c.in(kZeroPoint).data<float>();
  for (int64_t i = 0; i < s.m; ++i) {
    for (int64_t j = 0; j < s.n; ++j) {
      double sum = 0;
      for (int64_t l = 0; l < s.k; ++l) {
        const float weight = w[s.trans_w ? j * s.k + l : l * s.n + j];
        sum += (x[i * s.k + l] - zero_point) * std::nearbyint(weight / w_scale[j]);
      }
      const float bias = c.hasIn(kBias) ? c.in(kBias).data<float>()[j] : 0.0f;
      c.out().data<float>()[i * s.n + j] =
          static_cast<float>(sum) * (*c.in(kScale).data<float>() * w_scale[j]) + bias;
    }
  }
}

void kernel(const EvalContext& c) {
  const kernels::QuantizedGemmShape shape = shapeOf(c.node);
  SIMAQAT_CHECK(kernels::quantizedGemmFits(shape) && c.in(kWeightScale).size == shape.n, "{}",
                c.node.describe());
  const kernels::Codes x{c.in(kX).data<uint8_t>(), *c.in(kScale).data<float>(),
                         *c.in(kZeroPoint).data<float>()};
  kernels::quantizedGemm(shape, x, c.in(kW).data<float>(), c.in(kWeightScale).data<float>(),
                         c.hasIn(kBias) ? c.in(kBias).data<float>() : nullptr,
                         c.out().data<float>(), c.workspace, c.pool);
}

}  // namespace

OpDefinition defineQuantizedGemm() {
  OpDefinition op;
  op.name = "QuantizedGemm";
  op.domain = "simaqat";
  op.min_inputs = 2;  // a bias may be absent
  op.max_inputs = kInputs;
  op.make_attributes = &makeAttributes<QuantizedGemmAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.workspace = [](const Node& node, int) {
    return static_cast<int64_t>(kernels::quantizedGemmWorkspace(shapeOf(node)));
  };
  op.operations = [](const Node& node) {
    const kernels::QuantizedGemmShape s = shapeOf(node);
    return 2.0 * static_cast<double>(s.m * s.n) * static_cast<double>(s.k);
  };
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
