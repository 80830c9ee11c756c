#include "qat/ops/shared/convolution.h"
#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/integer_arithmetic.h"
#include "qat/ops/shared/strided_copy.h"

namespace simaqat::ops {
namespace {

enum Input { kX, kW, kXZeroPoint, kWZeroPoint };

void infer(InferContext& c) {
  expectCodes(c, kX);
  expectCodes(c, kW);
  c.expectElement(kXZeroPoint, c.input(kX).element);
  c.expectElement(kWZeroPoint, c.input(kW).element);
  c.setOutput(0, ElementType::kInt32,
              inferConv(c, c.node.attributes<ConvAttributes>(), {kX, kW, std::nullopt}));
}

void evaluate(const EvalContext& c) {
  const kernels::ConvShape shape =
      convShape(c.node, c.node.attributes<ConvAttributes>(), c.in(kX).dims, c.in(kW).dims);
  const int64_t plane = shape.out[0] * shape.out[1] * shape.out[2];
  const int32_t x_zero = zeroPointAt(c, kXZeroPoint, 0);
  int32_t* y = c.out().data<int32_t>();
  fill(c.out(), nullptr, c.pool);
  forEachProduct(shape, [&](int64_t xi, int64_t wi, int64_t yi) {
    const int64_t channel = yi / plane % shape.out_channels;
    addProduct(y[yi], codeAt(c.in(kX), xi) - x_zero,
               codeAt(c.in(kW), wi) - zeroPointAt(c, kWZeroPoint, channel));
  });
}

std::vector<OpExample> examples() {
  const Tensor x = exampleIntegers({1, 2, 4, 4}, 0, 255).converted(ElementType::kUint8);
  const Tensor w = exampleIntegers({3, 2, 3, 3}, -127, 127).converted(ElementType::kInt8);
  return {
      {"padded",
       {{"pads", std::vector<int64_t>{1, 1, 1, 1}}},
       {x, w, Tensor::scalar<uint8_t>(100)}},
      {"zero points of channels",
       {{"strides", std::vector<int64_t>{2, 1}}},
       {x, w, Tensor::scalar<uint8_t>(3), Tensor::of<int8_t>({3}, {1, 0, -2})}},
  };
}

}  // namespace

OpDefinition defineConvInteger() {
  OpDefinition op;
  op.name = "ConvInteger";
  op.first_opset = 10;
  op.min_inputs = 2;
  op.max_inputs = 4;
  op.make_attributes = &makeAttributes<ConvAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
