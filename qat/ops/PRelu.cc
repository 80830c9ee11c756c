#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gradient_nodes.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  c.expectElement(1, c.input(0).element);
  const std::optional<Shape> both = broadcastShapes(c.node, c.shape(0), c.shape(1));
  bool grows = both && both->size() != c.shape(0)->size();
  for (size_t axis = 0; both && !grows && axis < both->size(); ++axis) {
    const Dim& dim = (*c.shape(0))[axis];
    grows = dim.known() && dim != (*both)[axis];
  }
  if (grows) {
    c.node.fail("input 1: expected a slope that broadcasts to {}, got {}",
                shapeToString(*c.shape(0)), shapeToString(*c.shape(1)));
  }
  c.setOutput(0, c.input(0).element, c.input(0).shape);
}

void evaluate(const EvalContext& c) {
  visitNumber(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    mapBinary<T, T>(c, [](T x, T slope) { return x < T{0} ? static_cast<T>(slope * x) : x; });
  });
}

// dx = x < 0 ? slope dy : dy, dslope = dy min(x, 0)
void gradient(GradientContext& c) {
  Value* x = c.input(0);
  Value* dy = c.outputGradient();
  Value* zero = c.scalar(0, x);
  if (c.wants(0)) {
    Value* is_negative = c.add("Less", {x, zero});
    c.setInputGradient(0, c.add("Where", {is_negative, gradientTimes(c, dy, c.input(1)), dy}));
  }
  if (c.wants(1)) {
    c.setInputGradient(1, c.sumTo(gradientTimes(c, dy, c.add("Min", {x, zero})), c.input(1)));
  }
}

std::vector<OpExample> examples() {
  return {
      {"channels", {}, {exampleTensor({2, 3, 4}), exampleTensor({3, 1}, 2, 0, 0.5)}},
      {"one", {}, {exampleTensor({2, 3}), exampleTensor({1}, 2, 0, 0.5)}},
  };
}

}  // namespace

OpDefinition definePRelu() {
  OpDefinition op;
  op.name = "PRelu";
  op.first_opset = 7;
  op.min_inputs = op.max_inputs = 2;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.in_place = {{0, 0}};
  op.quantization.output = OutputQuantization::kComputes;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
