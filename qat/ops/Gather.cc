#include "qat/ops/shared/gather.h"

#include "qat/ops/shared/examples.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  const Shape* data = c.shape(0);
  const Shape* indices = c.shape(1);
  std::optional<Shape> y;
  if (data != nullptr && indices != nullptr) {
    const int64_t axis = normalizeAxis(c.node, c.node.attributes<AxisAttributes>().axis,
                                       static_cast<int64_t>(data->size()));
    y.emplace(data->begin(), data->begin() + axis);
    y->insert(y->end(), indices->begin(), indices->end());
    y->insert(y->end(), data->begin() + axis + 1, data->end());
  }
  c.setOutput(0, c.input(0).element, std::move(y));
}

void evaluate(const EvalContext& c) {
  const AxisSplit split(c.node, c.node.attributes<AxisAttributes>().axis, c.in(0).dims);
  const int64_t count = c.in(1).size;
  visitElementType(c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* data = c.in(0).data<T>();
    T* y = c.out().data<T>();
    c.pool.runRanges(split.outer * count, kElementwiseGrain / (split.inner + 1) + 1,
                     [&](int64_t begin, int64_t end) {
                       for (int64_t i = begin; i < end; ++i) {
                         const int64_t index =
                             checkedIndex(c.node, integerAt(c.in(1), i % count), split.size);
                         const T* from = data + (i / count * split.size + index) * split.inner;
                         std::copy(from, from + split.inner, y + i * split.inner);
                       }
                     });
  });
}

void gradient(GradientContext& c) {
  if (!c.wants(0)) return;
  GatherGradientAttributes attributes;
  attributes.axis = c.node.attributes<AxisAttributes>().axis;
  attributes.shape = c.input(0)->type.dims();
  c.setInputGradient(
      0, c.add("simaqat::GatherGradient", {c.outputGradient(), c.input(1)}, attributes));
}

std::vector<OpExample> examples() {
  const Tensor indices = Tensor::of<int64_t>({2, 3}, {0, 2, 1, -1, 0, 0});
  return {
      {"rows", {}, {exampleTensor({3, 4}), indices}},
      {"axis", {{"axis", int64_t{1}}}, {exampleTensor({2, 3, 4}), indices}},
      {"last axis, one",
       {{"axis", int64_t{-1}}},
       {exampleTensor({2, 3}), Tensor::scalar<int64_t>(1)}},
      {"integers", {}, {exampleIntegers({5}, -9, 9), Tensor::scalar<int64_t>(2)}},
  };
}

}  // namespace

OpDefinition defineGather() {
  OpDefinition op;
  op.name = "Gather";
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
