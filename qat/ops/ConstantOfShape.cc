#include "qat/ops/shared/integers.h"
#include "qat/ops/shared/strided_copy.h"

namespace simaqat::ops {
namespace {

struct ConstantOfShapeAttributes {
  Tensor value = Tensor::of<float>({1}, {0.0f});

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("value", self.value);
  }
};

void infer(InferContext& c) {
  const Tensor& value = c.node.attributes<ConstantOfShapeAttributes>().value;
  if (value.size() != 1) {
    c.node.fail("attribute 'value': expected one element, got {}", dimsToString(value.dims()));
  }
  std::optional<Shape> y;
  if (const auto dims = constantIntegers(c, 0)) {
    elementCount(*dims);  // fails for a negative one
    y = toShape(*dims);
  } else if (const auto count = listLength(c, 0)) {
    y = unknownShape(static_cast<size_t>(*count));
  }
  c.setOutput(0, value.type(), std::move(y));
}

void evaluate(const EvalContext& c) {
  fill(c.out(), c.node.attributes<ConstantOfShapeAttributes>().value.rawData(), c.pool);
}

std::vector<OpExample> examples() {
  const Tensor shape = Tensor::of<int64_t>({2}, {2, 3});
  return {
      {"zeros", {}, {shape}},
      {"integers", {{"value", Tensor::of<int64_t>({1}, {7})}}, {shape}},
      {"scalar", {{"value", Tensor::of<float>({1}, {0.5f})}}, {Tensor(ElementType::kInt64, {0})}},
  };
}

}  // namespace

OpDefinition defineConstantOfShape() {
  OpDefinition op;
  op.name = "ConstantOfShape";
  op.first_opset = 9;
  op.make_attributes = &makeAttributes<ConstantOfShapeAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
