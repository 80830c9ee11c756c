#include "qat/ops/shared/gather_nd.h"

namespace simaqat::ops {
namespace {

// d data of GatherND, from inputs (dy, indices).

void infer(InferContext& c) {
  c.setOutput(0, c.input(0).element,
              toShape(c.node.attributes<GatherNdGradientAttributes>().shape));
}

void evaluate(const EvalContext& c) {
  const auto& attributes = c.node.attributes<GatherNdGradientAttributes>();
  const GatherNdWalk walk(c.node, attributes.batch_dims, attributes.shape, c.in(1));
  fill(c.out(), nullptr, c.pool);
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* dy = c.in(0).data<T>();
    // On one thread: any two slices may be the same one.
    for (int64_t row = 0; row < walk.rows(); ++row) {
      T* dx = c.out().data<T>() + walk.source(row);
      for (int64_t i = 0; i < walk.slice(); ++i) dx[i] += dy[row * walk.slice() + i];
    }
  });
}

}  // namespace

OpDefinition defineGatherNDGradient() {
  OpDefinition op;
  op.name = "GatherNDGradient";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 2;
  op.make_attributes = &makeAttributes<GatherNdGradientAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
