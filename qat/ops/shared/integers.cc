#include "qat/ops/shared/integers.h"

namespace simaqat::ops {

std::optional<std::vector<int64_t>> constantIntegers(const InferContext& c, size_t input) {
  if (!c.hasInput(input)) return std::nullopt;
  const ElementType element = c.input(input).element;
  const Shape* shape = c.shape(input);
  if ((element != ElementType::kInt64 && element != ElementType::kInt32) ||
      (shape != nullptr && shape->size() > 1)) {
    c.node.fail("input {}: expected a list of int64, got {}", input, typeToString(c.input(input)));
  }
  const Tensor* list = c.constant(input);
  if (list == nullptr) return std::nullopt;
  return list->toVector<int64_t>();
}

std::optional<int64_t> listLength(const InferContext& c, size_t input) {
  const Shape* shape = c.shape(input);
  if (shape == nullptr) return std::nullopt;
  if (shape->size() != 1) {
    c.node.fail("input {}: expected a list, got {}", input, typeToString(c.input(input)));
  }
  if (!(*shape)[0].known()) return std::nullopt;
  return (*shape)[0].value;
}

int64_t integerAt(const TensorView& view, int64_t i) {
  return view.type == ElementType::kInt32 ? view.data<int32_t>()[i] : view.data<int64_t>()[i];
}

std::vector<bool> markAxes(const Node& node, const std::vector<int64_t>& axes, size_t rank) {
  std::vector<bool> marks(rank);
  for (const int64_t axis : axes) {
    const auto at = static_cast<size_t>(normalizeAxis(node, axis, static_cast<int64_t>(rank)));
    if (marks[at]) node.fail("axis {} is given twice", axis);
    marks[at] = true;
  }
  return marks;
}

Shape unknownShape(size_t rank) { return Shape(rank); }

}  // namespace simaqat::ops
