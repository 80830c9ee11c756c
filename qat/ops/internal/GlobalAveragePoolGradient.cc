#include "qat/ops/shared/pooling.h"

namespace simaqat::ops {
namespace {

// dx of GlobalAveragePool, from input dy; attribute 'shape' is x's.

void infer(InferContext& c) {
  c.setOutput(0, c.input(0).element,
              toShape(c.node.attributes<GlobalAveragePoolGradientAttributes>().shape));
}

int64_t planeSize(const EvalContext& c) {
  return c.in(0).size == 0 ? 0 : c.out().size / c.in(0).size;
}

void evaluate(const EvalContext& c) {
  const int64_t size = planeSize(c);
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    for (int64_t i = 0; i < c.out().size; ++i) {
      c.out().data<T>()[i] = c.in(0).data<T>()[i / size] / static_cast<T>(size);
    }
  });
}

void kernel(const EvalContext& c) {
  kernels::globalAveragePoolGrad(c.in(0).data<float>(), c.in(0).size, planeSize(c),
                                 c.out().data<float>(), c.pool);
}

}  // namespace

OpDefinition defineGlobalAveragePoolGradient() {
  OpDefinition op;
  op.name = "GlobalAveragePoolGradient";
  op.domain = "simaqat";
  op.make_attributes = &makeAttributes<GlobalAveragePoolGradientAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
