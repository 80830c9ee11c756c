#include "qat/ops/shared/quantize_codes.h"

namespace simaqat::ops {
namespace {

// Normalize, Clip and Quantize in one. Inputs: Normalize's (x and a line for each channel, axis 1),
// then those of a quantized result (quantize_codes.h). Outputs are Quantize's.
enum Input { kX, kCenter, kFactor, kOffset, kResult };

constexpr int64_t kGrain = 1 << 14;

void infer(InferContext& c) {
  c.setOutput(0, ElementType::kUint8, c.input(kX).shape);
  c.setOutput(1, c.input(kResult).element, c.input(kResult).shape);
}

void evaluate(const EvalContext& c) {
  const auto& spec = c.node.attributes<QuantizerSpec>();
  const kernels::LineToCodes result = lineToCodes(c, kResult, spec.qmin, spec.qmax);
  const Span<const int64_t> dims = c.in(kX).dims;
  const int64_t rows = dims[0] * dims[1];
  const int64_t inner = c.in(kX).size / std::max<int64_t>(rows, 1);
  const float* x = c.in(kX).data<float>();
  uint8_t* codes = c.out(0).data<uint8_t>();
  std::atomic<bool> has_nan{false};
  c.pool.runRanges(rows, kGrain / std::max<int64_t>(inner, 1) + 1, [&](int64_t begin, int64_t end) {
    kernels::LineToCodes line = result;
    bool bad = false;
    for (int64_t row = begin; row < end; ++row) {
      const int64_t channel = row % dims[1];
      line.center = c.in(kCenter).data<float>()[channel];
      line.factor = c.in(kFactor).data<float>()[channel];
      line.offset = c.in(kOffset).data<float>()[channel];
      bad |= kernels::kernels().quantizeLine(x + row * inner, inner, line, codes + row * inner);
    }
    if (bad) has_nan.store(true, std::memory_order_relaxed);
  });
  *c.out(1).data<float>() = has_nan ? std::numeric_limits<float>::quiet_NaN() : result.scale;
}

}  // namespace

OpDefinition defineNormalizeQuantize() {
  OpDefinition op;
  op.name = "NormalizeQuantize";
  op.domain = "simaqat";
  op.min_inputs = kResult + 2;
  op.max_inputs = kResult + kQuantizedResultInputs;
  op.min_outputs = op.max_outputs = 2;
  op.make_attributes = &makeAttributes<QuantizerSpec>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
