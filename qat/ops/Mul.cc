#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gradient_nodes.h"

namespace simaqat::ops {
namespace {

struct Function {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(a * b);
  }
};

void evaluate(const EvalContext& c) {
  visitNumber(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    mapBinary<T, T>(c, Function{});
  });
}

void gradient(GradientContext& c) {
  for (size_t i = 0; i < 2; ++i) {
    if (!c.wants(i)) continue;
    Value* product = gradientTimes(c, c.outputGradient(), c.input(1 - i));
    c.setInputGradient(i, c.sumTo(product, c.input(i)));
  }
}

std::vector<OpExample> examples() {
  return {
      {"same shape", {}, {exampleTensor({2, 3}, 1), exampleTensor({2, 3}, 2)}},
      {"channels", {}, {exampleTensor({2, 3, 4}, 1), exampleTensor({3, 1}, 2)}},
      {"both broadcast", {}, {exampleTensor({2, 1, 4}, 1), exampleTensor({3, 1}, 2)}},
      {"scalar", {}, {exampleTensor({}, 1), exampleTensor({3, 2}, 2)}},
  };
}

}  // namespace

OpDefinition defineMul() {
  OpDefinition op;
  op.name = "Mul";
  op.first_opset = 7;
  op.min_inputs = op.max_inputs = 2;
  op.infer = inferBroadcast;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.pointwise = {binaryBlock<Function>, nullptr, true};
  op.in_place = {{0, 0}, {1, 0}};
  op.quantization.output = OutputQuantization::kComputes;
  op.quantization.fuses_activation = true;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
