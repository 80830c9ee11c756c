#include "qat/ops/shared/convolution.h"
#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/integer_arithmetic.h"

namespace simaqat::ops {
namespace {

enum Input { kX, kXScale, kXZeroPoint, kW, kWScale, kWZeroPoint, kYScale, kYZeroPoint, kBias };

void infer(InferContext& c) {
  expectCodes(c, kX);
  expectCodes(c, kW);
  expectCodes(c, kYZeroPoint);
  c.expectElement(kXZeroPoint, c.input(kX).element);
  c.expectElement(kWZeroPoint, c.input(kW).element);
  c.expectElement(kBias, ElementType::kInt32);
  c.setOutput(0, c.input(kYZeroPoint).element,
              inferConv(c, c.node.attributes<ConvAttributes>(), {kX, kW, kBias}));
}

// Sums as int32 in the workspace.
int64_t workspace(const Node& node, int) {
  return node.output()->type.size() * static_cast<int64_t>(sizeof(int32_t));
}

void evaluate(const EvalContext& c) {
  const kernels::ConvShape shape =
      convShape(c.node, c.node.attributes<ConvAttributes>(), c.in(kX).dims, c.in(kW).dims);
  const int64_t plane = shape.out[0] * shape.out[1] * shape.out[2];
  const auto channelOf = [&](int64_t i) { return i / plane % shape.out_channels; };
  auto* sums = reinterpret_cast<int32_t*>(c.workspace);
  for (int64_t i = 0; i < c.out().size; ++i) {
    sums[i] = c.hasIn(kBias) ? c.in(kBias).data<int32_t>()[channelOf(i)] : 0;
  }
  const int32_t x_zero = zeroPointAt(c, kXZeroPoint, 0);
  forEachProduct(shape, [&](int64_t xi, int64_t wi, int64_t yi) {
    addProduct(sums[yi], codeAt(c.in(kX), xi) - x_zero,
               codeAt(c.in(kW), wi) - zeroPointAt(c, kWZeroPoint, channelOf(yi)));
  });
  const float x_scale = scaleAt(c, kXScale, 0);
  const float y_scale = scaleAt(c, kYScale, 0);
  const int32_t y_zero = zeroPointAt(c, kYZeroPoint, 0);
  visitCode8(c.out().type, [&](auto tag) {
    using Code = decltype(tag);
    for (int64_t i = 0; i < c.out().size; ++i) {
      const float scale = x_scale * scaleAt(c, kWScale, channelOf(i)) / y_scale;
      c.out().data<Code>()[i] = requantized<Code>(sums[i], scale, y_zero);
    }
  });
}

std::vector<OpExample> examples() {
  const Tensor x = exampleIntegers({1, 2, 4, 4}, 0, 255).converted(ElementType::kUint8);
  const Tensor w = exampleIntegers({3, 2, 3, 3}, -127, 127).converted(ElementType::kInt8);
  const auto scale = [](double value) { return Tensor::scalar(value); };
  const auto zero = [](uint8_t value) { return Tensor::scalar(value); };
  return {
      {"padded",
       {{"pads", std::vector<int64_t>{1, 1, 1, 1}}},
       {x, scale(0.02), zero(100), w, scale(0.01), Tensor::scalar<int8_t>(0), scale(0.25),
        zero(128)}},
      {"channels and bias",
       {},
       {x, scale(0.02), zero(3), w, Tensor::of<double>({3}, {0.01, 0.02, 0.005}),
        Tensor::of<int8_t>({3}, {0, 1, -1}), scale(0.5), Tensor::scalar<int8_t>(-4),
        Tensor::of<int32_t>({3}, {100, -2000, 0})}},
  };
}

}  // namespace

OpDefinition defineQLinearConv() {
  OpDefinition op;
  op.name = "QLinearConv";
  op.first_opset = 10;
  op.min_inputs = 8;
  op.max_inputs = 9;
  op.make_attributes = &makeAttributes<ConvAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.workspace = workspace;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
