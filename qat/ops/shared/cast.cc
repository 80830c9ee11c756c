#include "qat/ops/shared/cast.h"

#include "qat/ops/shared/gradient_nodes.h"

namespace simaqat::ops {
namespace {

bool is16BitFloat(ElementType type) {
  return type == ElementType::kFloat16 || type == ElementType::kBfloat16;
}

}  // namespace

void evaluateCast(const EvalContext& c) {
  visitElementType(c.in(0).type, [&](auto from) {
    visitElementType(c.out().type, [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      mapUnary<From, To>(c, [](From x) { return converted<To>(x); });
    });
  });
}

void castGradient(GradientContext& c) {
  if (isFloatingPoint(c.input(0)->type.element) && isFloatingPoint(c.output()->type.element)) {
    c.setInputGradient(0, castLike(c, c.outputGradient(), c.input(0)));
  }
}

ElementType elementAttribute(const Node& node, const char* name, int64_t value) {
  const auto type = static_cast<ElementType>(value);
  if (elementSize(type) == 0 || is16BitFloat(type)) {
    node.fail("attribute '{}': element type {} is not supported", name, elementTypeName(type));
  }
  return type;
}

void widen16BitFloat(PortableNode& node, const std::string& attribute) {
  const auto it = node.attributes.find(attribute);
  if (it == node.attributes.end() || !std::holds_alternative<int64_t>(it->second)) return;
  if (is16BitFloat(static_cast<ElementType>(std::get<int64_t>(it->second)))) {
    it->second = static_cast<int64_t>(ElementType::kFloat);
  }
}

}  // namespace simaqat::ops
