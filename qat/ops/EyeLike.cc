#include <algorithm>

#include "qat/ops/shared/cast.h"
#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/strided_copy.h"

namespace simaqat::ops {
namespace {

struct EyeLikeAttributes {
  // Absent: the input's.
  std::optional<int64_t> dtype;
  // The diagonal, counted upwards.
  int64_t k = 0;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("dtype", self.dtype);
    visit("k", self.k);
  }
};

void infer(InferContext& c) {
  const auto& attributes = c.node.attributes<EyeLikeAttributes>();
  c.expectRank(0, 2);
  c.setOutput(
      0,
      attributes.dtype ? elementAttribute(c.node, "dtype", *attributes.dtype) : c.input(0).element,
      c.input(0).shape);
}

void evaluate(const EvalContext& c) {
  const int64_t rows = c.out().dim(0);
  const int64_t columns = c.out().dim(1);
  // Beyond the matrix it may be as far as it likes.
  const int64_t k = std::clamp(c.node.attributes<EyeLikeAttributes>().k, -rows, columns);
  fill(c.out(), nullptr, c.pool);
  visitElementType(c.out().type, [&](auto tag) {
    using T = decltype(tag);
    T* y = c.out().data<T>();
    for (int64_t row = std::max<int64_t>(0, -k); row < std::min(rows, columns - k); ++row) {
      y[row * columns + row + k] = T{1};
    }
  });
}

void upgrade(PortableNode& node, int) { widen16BitFloat(node, "dtype"); }

std::vector<OpExample> examples() {
  const AttributeMap integers = {{"dtype", static_cast<int64_t>(ElementType::kInt32)}};
  return {
      {"wide", {}, {exampleTensor({2, 4})}},
      {"above the diagonal", {{"k", int64_t{1}}}, {exampleTensor({4, 3})}},
      {"below the diagonal", {{"k", int64_t{-2}}}, {exampleTensor({4, 3})}},
      {"beyond the matrix", {{"k", int64_t{9}}}, {exampleTensor({2, 2})}},
      {"to integers", integers, {exampleTensor({3, 3})}},
  };
}

}  // namespace

OpDefinition defineEyeLike() {
  OpDefinition op;
  op.name = "EyeLike";
  op.first_opset = 9;
  op.make_attributes = &makeAttributes<EyeLikeAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.upgrade = upgrade;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
