#include "qat/ops/shared/arg_extremum.h"

#include "qat/ops/shared/examples.h"

namespace simaqat::ops {

void inferArgExtremum(InferContext& c) {
  const auto& attributes = c.node.attributes<ArgExtremumAttributes>();
  std::optional<Shape> y;
  if (const Shape* x = c.shape(0)) {
    const int64_t axis = normalizeAxis(c.node, attributes.axis, static_cast<int64_t>(x->size()));
    y = *x;
    if (attributes.keepdims) {
      (*y)[static_cast<size_t>(axis)] = 1;
    } else {
      y->erase(y->begin() + axis);
    }
  }
  c.setOutput(0, ElementType::kInt64, std::move(y));
}

void downgradeArgExtremum(PortableNode& node, int opset) {
  const auto last = node.attributes.find("select_last_index");
  if (opset >= 12 || last == node.attributes.end()) return;
  if (!attributesEqual(last->second, int64_t{0})) {
    node.fail("attribute 'select_last_index' needs opset 12");
  }
  node.attributes.erase(last);
}

std::vector<OpExample> argExtremumExamples() {
  const AttributeMap last = {{"axis", int64_t{-1}}, {"select_last_index", int64_t{1}}};
  const AttributeMap lose = {{"axis", int64_t{1}}, {"keepdims", int64_t{0}}};
  return {
      {"first axis", {}, {exampleTensor({3, 4})}},
      {"an axis that goes", lose, {exampleTensor({2, 3, 4})}},
      {"the last of equal ones", last, {exampleIntegers({3, 9}, 0, 3)}},
      {"the first of equal ones", {{"axis", int64_t{1}}}, {exampleIntegers({3, 9}, 0, 3)}},
  };
}

}  // namespace simaqat::ops
