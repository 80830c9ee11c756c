#include "qat/ops/shared/pad.h"

namespace simaqat::ops {
namespace {

// d data of Pad in a mode that repeats data, from inputs (dy, pads, none, axes).

void infer(InferContext& c) {
  c.setOutput(0, c.input(0).element, toShape(c.node.attributes<PadGradientAttributes>().shape));
}

void evaluate(const EvalContext& c) {
  const auto& attributes = c.node.attributes<PadGradientAttributes>();
  fill(c.out(), nullptr, c.pool);
  if (c.in(0).size == 0) return;
  const PadWalk walk(c, attributes.mode, attributes.shape, c.in(0).dims);
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* dy = c.in(0).data<T>();
    T* dx = c.out().data<T>();
    const int64_t each = c.in(0).size / walk.outer();
    // Each tile adds to elements of its own.
    c.pool.run(walk.outer(), [&](int64_t tile, int) {
      for (int64_t i = tile * each; i < (tile + 1) * each; ++i) dx[walk.source(i)] += dy[i];
    });
  });
}

}  // namespace

OpDefinition definePadGradient() {
  OpDefinition op;
  op.name = "PadGradient";
  op.domain = "simaqat";
  op.min_inputs = 2;
  op.max_inputs = 4;
  op.make_attributes = &makeAttributes<PadGradientAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
