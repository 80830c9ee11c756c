#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/integer_matmul.h"

namespace simaqat::ops {
namespace {

enum Input { kA, kAScale, kAZeroPoint, kB, kBScale, kBZeroPoint, kYScale, kYZeroPoint };

void infer(InferContext& c) {
  expectCodes(c, kA);
  expectCodes(c, kB);
  expectCodes(c, kYZeroPoint);
  c.expectElement(kAZeroPoint, c.input(kA).element);
  c.expectElement(kBZeroPoint, c.input(kB).element);
  c.setOutput(0, c.input(kYZeroPoint).element, inferMatMul(c, kA, kB));
}

void evaluate(const EvalContext& c) {
  const float y_scale = scaleAt(c, kYScale, 0);
  const int32_t y_zero = zeroPointAt(c, kYZeroPoint, 0);
  visitCode8(c.out().type, [&](auto tag) {
    using Code = decltype(tag);
    Code* y = c.out().data<Code>();
    forEachMatMulSum(c, kA, kAZeroPoint, kB, kBZeroPoint,
                     [&](int64_t i, int64_t row, int64_t column, int32_t sum) {
                       const float scale =
                           scaleAt(c, kAScale, row) * scaleAt(c, kBScale, column) / y_scale;
                       y[i] = requantized<Code>(sum, scale, y_zero);
                     });
  });
}

std::vector<OpExample> examples() {
  const Tensor a = exampleIntegers({2, 3, 4}, 0, 255).converted(ElementType::kUint8);
  const Tensor b = exampleIntegers({4, 2}, -127, 127).converted(ElementType::kInt8);
  const auto scale = [](double value) { return Tensor::scalar(value); };
  return {
      {"one scale",
       {},
       {a, scale(0.02), Tensor::scalar<uint8_t>(120), b, scale(0.01), Tensor::scalar<int8_t>(0),
        scale(0.1), Tensor::scalar<uint8_t>(128)}},
      {"columns",
       {},
       {a, scale(0.02), Tensor::scalar<uint8_t>(0), b, Tensor::of<double>({2}, {0.01, 0.03}),
        Tensor::of<int8_t>({2}, {0, 4}), scale(0.2), Tensor::scalar<int8_t>(3)}},
  };
}

}  // namespace

OpDefinition defineQLinearMatMul() {
  OpDefinition op;
  op.name = "QLinearMatMul";
  op.first_opset = 10;
  op.min_inputs = op.max_inputs = 8;
  op.infer = infer;
  op.evaluate = evaluate;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
