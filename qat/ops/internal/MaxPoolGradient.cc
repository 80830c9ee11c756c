#include "qat/ops/shared/pooling.h"

namespace simaqat::ops {
namespace {

// dx of MaxPool, from inputs (dy, x): each dy goes to its window's first maximum. x may be given by
// its codes.

void infer(InferContext& c) { c.setOutput(0, c.input(0).element, c.input(1).shape); }

kernels::PoolShape shapeOf(const EvalContext& c) {
  return poolShape(c.node, c.node.attributes<PoolAttributes>(), c.in(1).dims);
}

void evaluate(const EvalContext& c) {
  const kernels::PoolShape shape = shapeOf(c);
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* dy = c.in(0).data<T>();
    const T* x = c.in(1).data<T>();
    T* dx = c.out().data<T>();
    std::fill(dx, dx + c.out().size, T{0});
    forEachWindow(shape, [&](const PoolIndex& window, int64_t from, int64_t plane) {
      const int64_t best = argMax(shape, window, x + plane);
      if (best >= 0) dx[plane + best] += dy[from];
    });
  });
}

void kernel(const EvalContext& c) {
  const auto grad = [&](const auto* x) {
    kernels::maxPoolGrad(shapeOf(c), x, c.in(0).data<float>(), c.out().data<float>(), c.pool);
  };
  if (c.in(1).type == ElementType::kUint8) {
    grad(c.in(1).data<uint8_t>());
  } else {
    grad(c.in(1).data<float>());
  }
}

}  // namespace

OpDefinition defineMaxPoolGradient() {
  OpDefinition op;
  op.name = "MaxPoolGradient";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 2;
  op.make_attributes = &makeAttributes<PoolAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
