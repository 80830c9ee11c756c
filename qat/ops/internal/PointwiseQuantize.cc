#include "qat/ops/shared/pointwise.h"
#include "qat/ops/shared/quantize_codes.h"

namespace simaqat::ops {
namespace {

// Quantize of a program's result. Inputs: scale, zero_point, the operands.
constexpr size_t kOperands = 2;

void infer(InferContext& c) {
  inferCodes(c, c.input(0), programOf(c.node).body().outputs[0].value->type.shape);
}

void evaluate(const EvalContext& c) {
  CodeSink sink(c, baseAttributes<QuantizerSpec>(c.node), *c.in(0).data<float>(),
                *c.in(1).data<float>());
  forEachPiece(c, kOperands, [&](int64_t begin, int64_t end, PointwiseRun& run) {
    run.run(begin, end, nullptr,
            [&](int64_t at, const float* x, int64_t n) { sink.put(at, x, n); });
  });
  *c.out(kCodesScale).data<float>() = sink.checkedScale();
}

}  // namespace

OpDefinition definePointwiseQuantize() {
  OpDefinition op;
  op.name = "PointwiseQuantize";
  op.domain = "simaqat";
  op.min_inputs = kOperands + 1;
  op.max_inputs = kOperands + kMaxPointwiseInputs;
  op.min_outputs = kCodesMask;
  op.max_outputs = kCodesOutputs;
  op.make_attributes = &makeAttributes<PointwiseAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.workspace = pointwiseWorkspace;
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
