#include <limits>

#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gradient_nodes.h"

namespace simaqat::ops {
namespace {

bool is16BitFloat(ElementType type) {
  return type == ElementType::kFloat16 || type == ElementType::kBfloat16;
}

void infer(InferContext& c) {
  const auto to = static_cast<ElementType>(c.node.attributes<CastAttributes>().to);
  if (elementSize(to) == 0 || is16BitFloat(to)) {
    c.node.fail("attribute 'to': element type {} is not supported", elementTypeName(to));
  }
  c.setOutput(0, to, c.input(0).shape);
}

// static_cast, but for numbers that the type does not hold, which C++ leaves undefined: they
// become the nearest one, and NaN becomes 0.
template <class To, class From>
To converted(From x) {
  if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To> &&
                !std::is_same_v<To, bool>) {
    using Limits = std::numeric_limits<To>;
    if (x != x) return To{0};
    if (x <= static_cast<From>(Limits::min())) return Limits::min();
    // As a float the largest number may be rounded up to one that is too large.
    if (x >= static_cast<From>(Limits::max())) return Limits::max();
  }
  return static_cast<To>(x);
}

void evaluate(const EvalContext& c) {
  visitElementType(c.in(0).type, [&](auto from) {
    visitElementType(c.out().type, [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      mapUnary<From, To>(c, [](From x) { return converted<To>(x); });
    });
  });
}

void gradient(GradientContext& c) {
  if (isFloatingPoint(c.input(0)->type.element) && isFloatingPoint(c.output()->type.element)) {
    c.setInputGradient(0, castLike(c, c.outputGradient(), c.input(0)));
  }
}

// Floats of 16 bits are float32 here, as import makes them everywhere.
void upgrade(PortableNode& node, int) {
  const auto to = node.attributes.find("to");
  if (to == node.attributes.end() || !std::holds_alternative<int64_t>(to->second)) return;
  if (is16BitFloat(static_cast<ElementType>(std::get<int64_t>(to->second)))) {
    to->second = static_cast<int64_t>(ElementType::kFloat);
  }
}

void downgrade(PortableNode& node, int opset) {
  if (opset < 19) node.attributes.erase("saturate");
}

std::vector<OpExample> examples() {
  const auto to = [](ElementType type) { return AttributeMap{{"to", static_cast<int64_t>(type)}}; };
  return {
      {"to integers", to(ElementType::kInt64), {exampleTensor({2, 3}, 1, -9, 9)}},
      {"to bool", to(ElementType::kBool), {exampleIntegers({4}, 0, 2)}},
      {"to float", to(ElementType::kFloat), {exampleIntegers({4}, -9, 9)}},
  };
}

}  // namespace

OpDefinition defineCast() {
  OpDefinition op;
  op.name = "Cast";
  op.make_attributes = &makeAttributes<CastAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.upgrade = upgrade;
  op.downgrade = downgrade;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
