#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gather.h"
#include "qat/ops/shared/gather_elements.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  const Shape* data = c.shape(0);
  const Shape* indices = c.shape(1);
  if (data != nullptr && indices != nullptr) {
    c.expectRank(1, data->size());
    normalizeAxis(c.node, c.node.attributes<AxisAttributes>().axis,
                  static_cast<int64_t>(data->size()));
  }
  c.setOutput(0, c.input(0).element, c.input(1).shape);
}

void evaluate(const EvalContext& c) {
  const auto axis = c.node.attributes<AxisAttributes>().axis;
  visitElementType(c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* data = c.in(0).data<T>();
    T* y = c.out().data<T>();
    const GatherElementsWalk walk(c.node, axis, c.in(0).dims, c.in(1));
    c.pool.runRanges(c.out().size, kElementwiseGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) y[i] = data[walk.source(i)];
    });
  });
}

void gradient(GradientContext& c) {
  if (!c.wants(0)) return;
  GatherGradientAttributes attributes;
  attributes.axis = c.node.attributes<AxisAttributes>().axis;
  attributes.shape = c.input(0)->type.dims();
  c.setInputGradient(
      0, c.add("simaqat::GatherElementsGradient", {c.outputGradient(), c.input(1)}, attributes));
}

std::vector<OpExample> examples() {
  return {
      {"rows", {}, {exampleTensor({3, 4}), exampleIntegers({2, 4}, -3, 3)}},
      {"columns", {{"axis", int64_t{1}}}, {exampleTensor({3, 4}), exampleIntegers({3, 5}, 0, 4)}},
      {"fewer",
       {{"axis", int64_t{-1}}},
       {exampleTensor({2, 3, 4}), exampleIntegers({1, 2, 4}, 0, 4)}},
  };
}

}  // namespace

OpDefinition defineGatherElements() {
  OpDefinition op;
  op.name = "GatherElements";
  op.first_opset = 11;
  op.min_inputs = op.max_inputs = 2;
  op.make_attributes = &makeAttributes<AxisAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kShares;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
