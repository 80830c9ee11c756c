#include <cmath>

#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/quantize_linear.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  checkQuantizeLinear(c);
  c.expectElement(kQuantizeScale, c.input(kQuantizeX).element);
  const int64_t asked = c.node.attributes<QuantizeLinearAttributes>().output_dtype;
  ElementType codes = asked == 0 ? ElementType::kUint8 : static_cast<ElementType>(asked);
  if (c.hasInput(kQuantizeZeroPoint)) {
    const ElementType zero_point = c.input(kQuantizeZeroPoint).element;
    if (asked != 0 && zero_point != codes) {
      c.node.fail("input 2: expected element type {}, got {}", elementTypeName(codes),
                  elementTypeName(zero_point));
    }
    codes = zero_point;
  }
  c.setOutput(0, codes, c.input(kQuantizeX).shape);
}

// clamp(roundHalfToEven(x / scale) + zero_point); NaN gives the least code.
template <class T, class Code>
Code quantized(T x, T scale, float zero_point, CodeRange range) {
  const auto lo = static_cast<T>(range.lo);
  const T code = std::nearbyint(x / scale) + static_cast<T>(zero_point);
  return static_cast<Code>(code > lo ? std::min(code, static_cast<T>(range.hi)) : lo);
}

void evaluate(const EvalContext& c) {
  const QuantizeShape s(c);
  const float* zero_points = zeroPoints(c);
  const CodeRange range = codeRange(c.out().type);
  visitFloat(c, c.in(kQuantizeX).type, [&](auto tag) {
    using T = decltype(tag);
    const T* x = c.in(kQuantizeX).data<T>();
    const T* scales = c.in(kQuantizeScale).data<T>();
    visitCode(c, c.out().type, [&](auto code_tag) {
      using Code = decltype(code_tag);
      for (int64_t i = 0; i < c.out().size; ++i) {
        const int64_t channel = i / s.inner % s.channels;
        c.out().data<Code>()[i] = quantized<T, Code>(
            x[i], scales[channel], zero_points == nullptr ? 0.0f : zero_points[channel], range);
      }
    });
  });
}

void kernel(const EvalContext& c) {
  const QuantizeShape s(c);
  const float* zero_points = zeroPoints(c);
  const CodeRange range = codeRange(c.out().type);
  visitCode(c, c.out().type, [&](auto tag) {
    using Code = decltype(tag);
    kernels::quantizePerChannel<Code>(c.in(kQuantizeX).data<float>(), s.outer, s.channels, s.inner,
                                      c.in(kQuantizeScale).data<float>(), zero_points, range.lo,
                                      range.hi, c.out().data<Code>(), c.pool);
  });
}

std::vector<OpExample> examples() {
  const Tensor x = exampleTensor({2, 3, 4}, 1, -4, 4);
  const Tensor scale = Tensor::scalar<double>(1.0 / 64);
  const Tensor scales = Tensor::of<double>({3}, {0.125, 1.0 / 64, 1.0 / 256});
  const auto code = [](auto zero) { return Tensor::scalar(zero); };
  return {
      {"uint8 by default", {}, {x, scale}},
      {"uint8", {}, {x, scale, code(uint8_t{128})}},
      {"int8", {}, {x, scale, code(int8_t{-3})}},
      {"uint16", {}, {x, scale, code(uint16_t{32768})}},
      {"int16", {}, {x, scale, code(int16_t{5})}},
      {"int4", {}, {x, scale, code(int8_t{-3}).converted(ElementType::kInt4)}},
      {"uint4", {}, {x, scale, code(uint8_t{9}).converted(ElementType::kUint4)}},
      {"channels", {}, {x, scales, Tensor::of<uint8_t>({3}, {0, 100, 255})}},
      {"signed by attribute", {{"axis", int64_t{-2}}, {"output_dtype", int64_t{3}}}, {x, scales}},
  };
}

}  // namespace

OpDefinition defineQuantizeLinear() {
  OpDefinition op;
  op.name = "QuantizeLinear";
  op.first_opset = 10;
  op.min_inputs = 2;
  op.max_inputs = 3;
  op.make_attributes = &makeAttributes<QuantizeLinearAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.workspace = zeroPointWorkspace;
  op.gradient_is_error = true;
  op.setting_inputs = {1, 2};
  op.downgrade = downgradeQuantizeLinear;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
