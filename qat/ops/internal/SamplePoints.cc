#include "qat/ops/shared/approximation_attributes.h"
#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/examples.h"

namespace simaqat::ops {
namespace {

// Where a function is sampled, from (scale, zero_point): the values of equally distant codes.

void infer(InferContext& c) {
  const auto& attributes = c.node.attributes<SamplePointsAttributes>();
  if (attributes.count < 2 || attributes.count > kMostSamplePoints) {
    c.node.fail("count is {}, expected 2 to {}", attributes.count, kMostSamplePoints);
  }
  c.setOutput(0, c.input(0).element, Shape{attributes.count});
}

void evaluate(const EvalContext& c) {
  const auto& attributes = c.node.attributes<SamplePointsAttributes>();
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T scale = *c.in(0).data<T>();
    const T zero = *c.in(1).data<T>();
    const T first = static_cast<T>(attributes.first);
    const T step = (static_cast<T>(attributes.last) - first) / static_cast<T>(attributes.count - 1);
    T* points = c.out().data<T>();
    for (int64_t i = 0; i < attributes.count; ++i) {
      points[i] = (first + static_cast<T>(i) * step - zero) * scale;
    }
  });
}

std::vector<OpExample> examples() {
  return {{"",
           {{"count", int64_t{5}}, {"first", 0.0f}, {"last", 255.0f}},
           {Tensor::scalar<double>(0.5), Tensor::scalar<double>(3)}}};
}

}  // namespace

OpDefinition defineSamplePoints() {
  OpDefinition op;
  op.name = "SamplePoints";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 2;
  op.make_attributes = &makeAttributes<SamplePointsAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
