#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/integer_matmul.h"

namespace simaqat::ops {
namespace {

enum Input { kA, kB, kAZeroPoint, kBZeroPoint };

void infer(InferContext& c) {
  expectCodes(c, kA);
  expectCodes(c, kB);
  c.expectElement(kAZeroPoint, c.input(kA).element);
  c.expectElement(kBZeroPoint, c.input(kB).element);
  c.setOutput(0, ElementType::kInt32, inferMatMul(c, kA, kB));
}

void evaluate(const EvalContext& c) {
  int32_t* y = c.out().data<int32_t>();
  forEachMatMulSum(c, kA, kAZeroPoint, kB, kBZeroPoint,
                   [=](int64_t i, int64_t, int64_t, int32_t sum) { y[i] = sum; });
}

std::vector<OpExample> examples() {
  const Tensor a = exampleIntegers({2, 3, 4}, 0, 255).converted(ElementType::kUint8);
  const Tensor b = exampleIntegers({4, 2}, -127, 127).converted(ElementType::kInt8);
  return {
      {"plain", {}, {a, b}},
      {"zero points", {}, {a, b, Tensor::scalar<uint8_t>(120), Tensor::of<int8_t>({2}, {-1, 3})}},
  };
}

}  // namespace

OpDefinition defineMatMulInteger() {
  OpDefinition op;
  op.name = "MatMulInteger";
  op.first_opset = 10;
  op.min_inputs = 2;
  op.max_inputs = 4;
  op.infer = infer;
  op.evaluate = evaluate;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
