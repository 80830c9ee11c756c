#include <algorithm>

#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/layer_norm.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  inferLayerNorm(c);
  const ElementType element = c.input(0).element;
  std::optional<Shape> statistics;
  if (const Shape* x = c.shape(0)) {
    const int64_t axis = normalizeAxis(c.node, c.node.attributes<LayerNormAttributes>().axis,
                                       static_cast<int64_t>(x->size()));
    statistics = *x;
    std::fill(statistics->begin() + axis, statistics->end(), Dim(1));
  }
  c.setOutput(1, element, statistics);
  c.setOutput(2, element, statistics);
}

void gradient(GradientContext& c) { layerNormGradient(c, Centering::kMean); }

std::vector<OpExample> examples() {
  return {
      {"last axis",
       {},
       {exampleTensor({3, 4, 5}, 1, -2, 2), exampleTensor({5}, 2, 0.5, 2), exampleTensor({5}, 3)}},
      {"two axes",
       {{"axis", int64_t{1}}, {"epsilon", 0.01f}},
       {exampleTensor({3, 2, 4}), exampleTensor({2, 4}, 2), exampleTensor({4}, 3)}},
      {"no bias", {{"axis", int64_t{-2}}}, {exampleTensor({2, 3, 4}), exampleTensor({4}, 2)}},
      {"one scale", {}, {exampleTensor({2, 6}), exampleTensor({1}, 2)}},
  };
}

}  // namespace

OpDefinition defineLayerNormalization() {
  OpDefinition op;
  op.name = "LayerNormalization";
  op.first_opset = 17;
  op.min_inputs = 2;
  op.max_inputs = 3;
  op.max_outputs = 3;
  op.make_attributes = &makeAttributes<LayerNormAttributes>;
  op.infer = infer;
  op.evaluate = evaluateLayerNorm<Centering::kMean>;
  op.gradient = gradient;
  op.in_place = {{0, 0}};
  op.quantization.output = OutputQuantization::kComputes;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
