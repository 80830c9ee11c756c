#include "kernels/fake_quantize.h"
#include "qat/ops/shared/broadcast.h"

namespace simaqat::ops {
namespace {

// x from its codes, (codes - zero_point) * scale, of inputs (codes, scale, zero_point).

void infer(InferContext& c) { c.setOutput(0, c.input(1).element, c.input(0).shape); }

void evaluate(const EvalContext& c) {
  kernels::dequantize(c.in(0).data<uint8_t>(), c.in(0).size, *c.in(1).data<float>(),
                      *c.in(2).data<float>(), c.out().data<float>(), c.pool);
}

void block(const Node&, const float* const* in, float* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = (in[0][i] - in[2][i]) * in[1][i];
}

}  // namespace

OpDefinition defineDequantize() {
  OpDefinition op;
  op.name = "Dequantize";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 3;
  op.infer = infer;
  op.evaluate = evaluate;
  op.pointwise.block = block;
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
