#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gradient_nodes.h"

namespace simaqat::ops {
namespace {

template <class T>
T quotient(const Node& node, T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    if (b == 0) node.fail("division by zero");
    // The least number over -1 has no result, and the processor would stop the program.
    if (std::is_signed_v<T> && b == static_cast<T>(-1)) {
      return static_cast<T>(0 - static_cast<std::make_unsigned_t<T>>(a));
    }
  }
  return static_cast<T>(a / b);
}

void evaluate(const EvalContext& c) {
  visitNumber(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    mapBinary<T, T>(c, [&node = c.node](T a, T b) { return quotient(node, a, b); });
  });
}

struct Quotient {
  float operator()(float a, float b) const { return a / b; }
};

void gradient(GradientContext& c) {
  Value* share = gradientOver(c, c.outputGradient(), c.input(1));
  if (c.wants(0)) c.setInputGradient(0, c.sumTo(share, c.input(0)));
  if (c.wants(1)) {
    Value* product = gradientTimes(c, share, c.output());
    c.setInputGradient(1, c.add("Neg", {c.sumTo(product, c.input(1))}));
  }
}

std::vector<OpExample> examples() {
  return {
      {"same shape", {}, {exampleTensor({2, 3}, 1), exampleTensor({2, 3}, 2, 0.5, 2)}},
      {"channels", {}, {exampleTensor({2, 3, 4}, 1), exampleTensor({3, 1}, 2, -2, -0.5)}},
      {"by a scalar", {}, {exampleTensor({3, 2}, 1), exampleTensor({}, 2, 1, 2)}},
      {"integers", {}, {exampleIntegers({6}, -20, 20, 1), exampleIntegers({6}, 1, 7, 2)}},
  };
}

}  // namespace

OpDefinition defineDiv() {
  OpDefinition op;
  op.name = "Div";
  op.first_opset = 7;
  op.min_inputs = op.max_inputs = 2;
  op.infer = inferBroadcast;
  op.evaluate = evaluate;
  op.pointwise.block = binaryBlock<Quotient>;
  op.gradient = gradient;
  op.in_place = {{0, 0}, {1, 0}};
  op.quantization.output = OutputQuantization::kComputes;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
