#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/layer_norm.h"

namespace simaqat::ops {
namespace {

void gradient(GradientContext& c) { layerNormGradient(c, Centering::kNone); }

std::vector<OpExample> examples() {
  return {
      {"last axis", {}, {exampleTensor({3, 4, 5}, 1, -2, 2), exampleTensor({5}, 2, 0.5, 2)}},
      {"two axes",
       {{"axis", int64_t{1}}, {"epsilon", 0.01f}},
       {exampleTensor({3, 2, 4}), exampleTensor({2, 4}, 2)}},
      {"one scale", {{"axis", int64_t{0}}}, {exampleTensor({2, 6}), exampleTensor({1}, 2)}},
  };
}

}  // namespace

OpDefinition defineRMSNormalization() {
  OpDefinition op;
  op.name = "RMSNormalization";
  op.first_opset = 23;
  op.min_inputs = op.max_inputs = 2;
  op.make_attributes = &makeAttributes<LayerNormAttributes>;
  op.infer = inferLayerNorm;
  op.evaluate = evaluateLayerNorm<Centering::kNone>;
  op.gradient = gradient;
  op.in_place = {{0, 0}};
  op.quantization.output = OutputQuantization::kComputes;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
