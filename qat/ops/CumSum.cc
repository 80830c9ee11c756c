#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gather.h"

namespace simaqat::ops {
namespace {

enum Input { kData, kAxis };

struct CumSumAttributes {
  bool exclusive = false;
  bool reverse = false;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("exclusive", self.exclusive);
    visit("reverse", self.reverse);
  }
};

void infer(InferContext& c) {
  const ElementType index = c.input(kAxis).element;
  const Shape* axis = c.shape(kAxis);
  if ((index != ElementType::kInt32 && index != ElementType::kInt64) ||
      (axis != nullptr && *axis != Shape{} && *axis != Shape{1})) {
    c.node.fail("input 1: expected an axis, got {}", typeToString(c.input(kAxis)));
  }
  c.setOutput(0, c.input(kData).element, c.input(kData).shape);
}

void evaluate(const EvalContext& c) {
  const auto& attributes = c.node.attributes<CumSumAttributes>();
  const AxisSplit split(c.node, integerAt(c.in(kAxis), 0), c.in(kData).dims);
  visitNumber(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    using Wide = std::conditional_t<std::is_floating_point_v<T>, double, int64_t>;
    forEachLine(c, split, [&](int64_t first, int64_t size, int64_t stride) {
      const T* x = c.in(kData).data<T>() + first;
      T* y = c.out().data<T>() + first;
      Wide sum = 0;
      for (int64_t k = 0; k < size; ++k) {
        const int64_t at = (attributes.reverse ? size - 1 - k : k) * stride;
        const Wide before = sum;
        sum += static_cast<Wide>(x[at]);
        y[at] = static_cast<T>(attributes.exclusive ? before : sum);
      }
    });
  });
}

// An element is in the sums behind it: they add up from the other end.
void gradient(GradientContext& c) {
  auto attributes = c.node.attributes<CumSumAttributes>();
  attributes.reverse = !attributes.reverse;
  c.setInputGradient(kData, c.add("CumSum", {c.outputGradient(), c.input(kAxis)}, attributes));
}

std::vector<OpExample> examples() {
  const auto axis = [](int64_t number) { return Tensor::scalar(number); };
  const AttributeMap exclusive = {{"exclusive", int64_t{1}}};
  const AttributeMap reverse = {{"reverse", int64_t{1}}};
  const AttributeMap both = {{"exclusive", int64_t{1}}, {"reverse", int64_t{1}}};
  return {
      {"last axis", {}, {exampleTensor({2, 3, 4}), axis(-1)}},
      {"exclusive", exclusive, {exampleTensor({2, 3, 4}), axis(1)}},
      {"reverse", reverse, {exampleTensor({3, 4}), axis(0)}},
      {"exclusive from the end", both, {exampleTensor({5}), axis(0)}},
      {"integers", {}, {exampleIntegers({2, 4}, -9, 9), axis(1)}},
  };
}

}  // namespace

OpDefinition defineCumSum() {
  OpDefinition op;
  op.name = "CumSum";
  op.first_opset = 11;
  op.min_inputs = op.max_inputs = 2;
  op.make_attributes = &makeAttributes<CumSumAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.in_place = {{0, 0}};
  op.quantization.output = OutputQuantization::kComputes;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
