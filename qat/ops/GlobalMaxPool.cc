#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/pooling.h"

namespace simaqat::ops {
namespace {

// A MaxPool with one window.
void evaluate(const EvalContext& c) {
  const kernels::PoolShape shape = poolShape(c.node, globalWindow(c.in(0).dims), c.in(0).dims);
  visitNumber(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* x = c.in(0).data<T>();
    T* y = c.out().data<T>();
    forEachWindow(shape, [&](const PoolIndex& window, int64_t to, int64_t plane) {
      y[to] = x[plane + argMax(shape, window, x + plane)];
    });
  });
}

void kernel(const EvalContext& c) {
  kernels::maxPool(poolShape(c.node, globalWindow(c.in(0).dims), c.in(0).dims),
                   c.in(0).data<float>(), c.out().data<float>(), c.pool);
}

void gradient(GradientContext& c) {
  const std::vector<int64_t> dims = c.input(0)->type.dims();
  c.setInputGradient(
      0, c.add("simaqat::MaxPoolGradient", {c.outputGradient(), c.input(0)}, globalWindow(dims)));
}

std::vector<OpExample> examples() {
  return {{"images", {}, {exampleTensor({2, 3, 4, 5})}},
          {"sequences", {}, {exampleTensor({2, 3, 7})}},
          {"volumes", {}, {exampleTensor({1, 2, 2, 3, 2})}}};
}

}  // namespace

OpDefinition defineGlobalMaxPool() {
  OpDefinition op;
  op.name = "GlobalMaxPool";
  op.infer = inferGlobalPool;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kShares;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
