#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/examples.h"

namespace simaqat::ops {
namespace {

struct Function {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(a - b);
  }
};

void evaluate(const EvalContext& c) {
  visitNumber(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    mapBinary<T, T>(c, Function{});
  });
}

void gradient(GradientContext& c) {
  if (c.wants(0)) c.setInputGradient(0, c.sumTo(c.outputGradient(), c.input(0)));
  if (c.wants(1)) {
    // Negated last, where there is least of it.
    c.setInputGradient(1, c.add("Neg", {c.sumTo(c.outputGradient(), c.input(1))}));
  }
}

std::vector<OpExample> examples() {
  return {
      {"same shape", {}, {exampleTensor({2, 3}, 1), exampleTensor({2, 3}, 2)}},
      {"channels", {}, {exampleTensor({2, 3, 4}, 1), exampleTensor({3, 1}, 2)}},
      {"scalar", {}, {exampleTensor({}, 1), exampleTensor({3, 2}, 2)}},
  };
}

}  // namespace

OpDefinition defineSub() {
  OpDefinition op;
  op.name = "Sub";
  op.first_opset = 7;
  op.min_inputs = op.max_inputs = 2;
  op.infer = inferBroadcast;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.pointwise = {binaryBlock<Function>, nullptr, true};
  op.in_place = {{0, 0}, {1, 0}};
  op.quantization.output = OutputQuantization::kComputes;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
