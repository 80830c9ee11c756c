#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/group_norm.h"

namespace simaqat::ops {
namespace {

struct InstanceNormAttributes {
  float epsilon = 1e-5f;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("epsilon", self.epsilon);
  }
};

void evaluate(const EvalContext& c) {
  evaluateGroupNorm(c, c.in(0).dim(1), c.node.attributes<InstanceNormAttributes>().epsilon);
}

void gradient(GradientContext& c) {
  groupNormGradient(c, c.input(0)->type.dims()[1],
                    c.node.attributes<InstanceNormAttributes>().epsilon);
}

std::vector<OpExample> examples() {
  const Tensor scale = exampleTensor({3}, 2, 0.5, 2);
  const Tensor bias = exampleTensor({3}, 3);
  return {
      {"images", {}, {exampleTensor({2, 3, 4, 2}), scale, bias}},
      {"signals", {{"epsilon", 0.01f}}, {exampleTensor({2, 3, 5}), scale, bias}},
  };
}

}  // namespace

OpDefinition defineInstanceNormalization() {
  OpDefinition op;
  op.name = "InstanceNormalization";
  op.first_opset = 6;
  op.min_inputs = op.max_inputs = 3;
  op.make_attributes = &makeAttributes<InstanceNormAttributes>;
  op.infer = inferGroupNorm;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.in_place = {{0, 0}};
  op.quantization.output = OutputQuantization::kComputes;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
