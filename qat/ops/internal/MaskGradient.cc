#include "kernels/bit_mask.h"
#include "qat/ops/shared/broadcast.h"

namespace simaqat::ops {
namespace {

// dx = mask ? dy : 0, from inputs (dy, mask) of one shape, the mask of bits: a gradient that passes
// or does not, decided in forward.

void infer(InferContext& c) { c.setOutput(0, c.input(0).element, c.input(0).shape); }

void evaluate(const EvalContext& c) {
  kernels::maskGradient(c.in(0).data<float>(), c.in(1).mask(), c.in(0).size, c.out().data<float>(),
                        c.pool);
}

void block(const Node&, const float* const* in, float* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = in[1][i] != 0 ? in[0][i] : 0.0f;
}

}  // namespace

OpDefinition defineMaskGradient() {
  OpDefinition op;
  op.name = "MaskGradient";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 2;
  op.infer = infer;
  op.evaluate = evaluate;
  op.pointwise.block = block;
  op.gradient_is_error = true;
  op.in_place = {{0, 0}};
  return op;
}

}  // namespace simaqat::ops
