#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/lp_pool.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  c.setOutput(0, c.input(0).element, inferPool(c, c.node.attributes<LpPoolAttributes>()));
}

void evaluate(const EvalContext& c) { evaluateLpPool(c, c.node.attributes<LpPoolAttributes>()); }

void gradient(GradientContext& c) {
  c.setInputGradient(0,
                     c.add("simaqat::LpPoolGradient", {c.outputGradient(), c.input(0), c.output()},
                           c.node.attributes<LpPoolAttributes>()));
}

void downgrade(PortableNode& node, int opset) {
  if (opset >= 18) return;
  for (const char* name : {"ceil_mode", "dilations"}) {
    if (node.attributes.count(name) != 0) {
      node.fail(fmt::format("attribute '{}' needs opset 18", name));
    }
  }
}

std::vector<OpExample> examples() {
  using Ints = std::vector<int64_t>;
  return {
      {"padded",
       {{"kernel_shape", Ints{3, 2}}, {"pads", Ints{1, 0, 1, 1}}, {"strides", Ints{2, 1}}},
       {exampleTensor({2, 2, 5, 4}, 1, 0.2, 2)}},
      {"sums", {{"kernel_shape", Ints{2}}, {"p", int64_t{1}}}, {exampleTensor({1, 2, 6})}},
      {"cubes",
       {{"kernel_shape", Ints{2, 2}}, {"p", int64_t{3}}, {"dilations", Ints{2, 1}}},
       {exampleTensor({1, 2, 4, 4})}},
  };
}

}  // namespace

OpDefinition defineLpPool() {
  OpDefinition op;
  op.name = "LpPool";
  op.make_attributes = &makeAttributes<LpPoolAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kComputes;
  op.downgrade = downgrade;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
