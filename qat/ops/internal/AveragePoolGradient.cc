#include "qat/ops/shared/pooling.h"

namespace simaqat::ops {
namespace {

// dx of AveragePool, from input dy; attribute 'shape' is x's.

void infer(InferContext& c) {
  c.setOutput(0, c.input(0).element,
              toShape(c.node.attributes<AveragePoolGradientAttributes>().shape));
}

kernels::PoolShape shapeOf(const EvalContext& c) {
  const auto& attributes = c.node.attributes<AveragePoolGradientAttributes>();
  return poolShape(c.node, attributes, attributes.shape);
}

bool countsPadding(const EvalContext& c) {
  return c.node.attributes<AveragePoolGradientAttributes>().count_include_pad;
}

void evaluate(const EvalContext& c) {
  const kernels::PoolShape shape = shapeOf(c);
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* dy = c.in(0).data<T>();
    T* dx = c.out().data<T>();
    std::fill(dx, dx + c.out().size, T{0});
    forEachWindow(shape, [&](const PoolIndex& window, int64_t from, int64_t plane) {
      const T share = dy[from] / static_cast<T>(averageCount(shape, window, countsPadding(c)));
      forEachTap(shape, window, [&](int64_t i) { dx[plane + i] += share; });
    });
  });
}

void kernel(const EvalContext& c) {
  kernels::averagePoolGrad(shapeOf(c), countsPadding(c), c.in(0).data<float>(),
                           c.out().data<float>(), c.pool);
}

}  // namespace

OpDefinition defineAveragePoolGradient() {
  OpDefinition op;
  op.name = "AveragePoolGradient";
  op.domain = "simaqat";
  op.make_attributes = &makeAttributes<AveragePoolGradientAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
