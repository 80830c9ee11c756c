#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/pooling.h"

namespace simaqat::ops {
namespace {

void evaluate(const EvalContext& c) {
  const int64_t planes = c.out().size;
  const int64_t size = planes == 0 ? 0 : c.in(0).size / planes;
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* x = c.in(0).data<T>();
    for (int64_t plane = 0; plane < planes; ++plane) {
      double sum = 0;
      for (int64_t i = 0; i < size; ++i) sum += x[plane * size + i];
      c.out().data<T>()[plane] = static_cast<T>(sum / static_cast<double>(size));
    }
  });
}

void kernel(const EvalContext& c) {
  const int64_t planes = c.out().size;
  kernels::globalAveragePool(c.in(0).data<float>(), planes, planes == 0 ? 0 : c.in(0).size / planes,
                             c.out().data<float>(), c.pool);
}

void gradient(GradientContext& c) {
  c.setInputGradient(0, c.add("simaqat::GlobalAveragePoolGradient", {c.outputGradient()},
                              GlobalAveragePoolGradientAttributes{c.input(0)->type.dims()}));
}

std::vector<OpExample> examples() {
  return {{"images", {}, {exampleTensor({2, 3, 4, 5})}},
          {"sequences", {}, {exampleTensor({2, 3, 7})}}};
}

}  // namespace

OpDefinition defineGlobalAveragePool() {
  OpDefinition op;
  op.name = "GlobalAveragePool";
  op.infer = inferGlobalPool;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kComputes;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
