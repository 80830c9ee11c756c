#include <cstring>

#include "kernels/sgd.h"
#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/sgd_attributes.h"

namespace simaqat::ops {
namespace {

// The weight and its momentum after a step, from (weight, gradient, momentum, learning rate,
// gradient scale), as PyTorch's SGD computes them. Updates in place.

void infer(InferContext& c) {
  c.setOutput(0, c.input(0).element, c.input(0).shape);
  c.setOutput(1, c.input(2).element, c.input(2).shape);
}

void evaluate(const EvalContext& c) {
  const auto& a = c.node.attributes<SgdAttributes>();
  for (size_t i = 0; i < 2; ++i) {
    const TensorView& from = c.in(2 * i);
    if (from.bytes != c.out(i).bytes) std::memcpy(c.out(i).bytes, from.bytes, from.byteCount());
  }
  kernels::sgdMomentum(c.out(0).data<float>(), c.in(1).data<float>(), c.out(1).data<float>(),
                       c.out(0).size,
                       {*c.in(3).data<float>() * a.rate_factor, a.momentum, a.weight_decay, a.nesterov,
                        *c.in(4).data<float>()},
                       c.pool);
}

}  // namespace

OpDefinition defineSgdMomentum() {
  OpDefinition op;
  op.name = "SgdMomentum";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 5;
  op.min_outputs = op.max_outputs = 2;
  op.make_attributes = &makeAttributes<SgdAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.in_place = {{0, 0}, {2, 1}};
  op.commits = true;
  return op;
}

}  // namespace simaqat::ops
