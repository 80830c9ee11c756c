#include <algorithm>

#include "qat/ir/op.h"
#include "qat/ops/shared/examples.h"

namespace simaqat::ops {
namespace {

struct ShapeAttributes {
  int64_t start = 0;
  std::optional<int64_t> end;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("start", self.start);
    visit("end", self.end);
  }
};

// The first axis and the one behind the last; both are clamped, as slices are.
std::pair<int64_t, int64_t> axesOf(const Node& node, int64_t rank) {
  const auto& attributes = node.attributes<ShapeAttributes>();
  const auto clamped = [rank](int64_t axis) {
    return std::clamp<int64_t>(axis < 0 ? axis + rank : axis, 0, rank);
  };
  const int64_t begin = clamped(attributes.start);
  return {begin, std::max(begin, clamped(attributes.end.value_or(rank)))};
}

void infer(InferContext& c) {
  Dim count;
  if (const Shape* x = c.shape(0)) {
    const auto [begin, end] = axesOf(c.node, static_cast<int64_t>(x->size()));
    count = end - begin;
  }
  c.setOutput(0, ElementType::kInt64, Shape{count});
}

void evaluate(const EvalContext& c) {
  const auto [begin, end] = axesOf(c.node, c.in(0).rank());
  std::copy(c.in(0).dims.begin() + begin, c.in(0).dims.begin() + end, c.out().data<int64_t>());
}

void downgrade(PortableNode& node, int opset) {
  if (opset < 15 && !node.attributes.empty()) node.fail("'start' and 'end' need opset 15");
}

std::vector<OpExample> examples() {
  return {
      {"all", {}, {exampleTensor({2, 3, 4})}},
      {"some", {{"start", int64_t{-2}}, {"end", int64_t{2}}}, {exampleTensor({2, 3, 4})}},
      {"scalar", {}, {exampleTensor({})}},
  };
}

}  // namespace

OpDefinition defineShape() {
  OpDefinition op;
  op.name = "Shape";
  op.make_attributes = &makeAttributes<ShapeAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.downgrade = downgrade;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
