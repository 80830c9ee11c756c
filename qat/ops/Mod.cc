#include <cmath>

#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gradient_nodes.h"

namespace simaqat::ops {
namespace {

struct ModAttributes {
  // The sign of the dividend, as C has it; else that of the divisor, as Python has it.
  bool fmod = false;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("fmod", self.fmod);
  }
};

void infer(InferContext& c) {
  if (isFloatingPoint(c.input(0).element) && !c.node.attributes<ModAttributes>().fmod) {
    c.node.fail("attribute 'fmod': expected 1 for {}, got 0", elementTypeName(c.input(0).element));
  }
  inferBroadcast(c);
}

template <class T>
T integerRemainder(const Node& node, T a, T b, bool sign_of_dividend) {
  if (b == T{0}) node.fail("input 1: division by 0");
  if constexpr (std::is_signed_v<T>) {
    // The least number divided by -1 would overflow.
    if (b == T{-1}) return 0;
    const T rest = static_cast<T>(a % b);
    const bool other_sign = rest != 0 && (rest < 0) != (b < 0);
    return sign_of_dividend || !other_sign ? rest : static_cast<T>(rest + b);
  } else {
    return static_cast<T>(a % b);
  }
}

void evaluate(const EvalContext& c) {
  const bool fmod = c.node.attributes<ModAttributes>().fmod;
  visitNumber(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    mapBinary<T, T>(c, [&c, fmod](T a, T b) {
      if constexpr (std::is_floating_point_v<T>) {
        return std::fmod(a, b);
      } else {
        return integerRemainder(c.node, a, b, fmod);
      }
    });
  });
}

// y = a - b trunc(a / b), so that da = dy and db = -dy trunc(a / b) = dy (y - a) / b.
void gradient(GradientContext& c) {
  Value* dy = c.outputGradient();
  if (c.wants(0)) c.setInputGradient(0, c.sumTo(dy, c.input(0)));
  if (c.wants(1)) {
    Value* less = c.add("Sub", {c.output(), c.input(0)});
    Value* slope = c.add("Div", {less, c.input(1)});
    c.setInputGradient(1, c.sumTo(gradientTimes(c, dy, slope), c.input(1)));
  }
}

std::vector<OpExample> examples() {
  const AttributeMap fmod = {{"fmod", int64_t{1}}};
  return {
      {"floats",
       fmod,
       {exampleTensor({2, 3}, 1, -5, 5), Tensor::of<double>({3}, {1.7, -2.3, 3.1})}},
      {"integers", {}, {exampleIntegers({7}, -9, 9), Tensor::of<int64_t>({}, {-4})}},
      {"as C", fmod, {exampleIntegers({7}, -9, 9), Tensor::of<int64_t>({1}, {4})}},
  };
}

}  // namespace

OpDefinition defineMod() {
  OpDefinition op;
  op.name = "Mod";
  op.first_opset = 10;
  op.min_inputs = op.max_inputs = 2;
  op.make_attributes = &makeAttributes<ModAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.in_place = {{0, 0}, {1, 0}};
  op.quantization.output = OutputQuantization::kComputes;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
