#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/quantize_linear.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  checkQuantizeLinear(c);
  c.expectElement(kQuantizeZeroPoint, c.input(kQuantizeX).element);
  c.setOutput(0, c.input(kQuantizeScale).element, c.input(kQuantizeX).shape);
}

// INT32 is a bias' type.
template <class Function>
void visitCodeOrBias(const EvalContext& c, Function&& function) {
  const ElementType type = c.in(kQuantizeX).type;
  if (type == ElementType::kInt32) return function(int32_t{});
  visitCode(c, type, function);
}

void evaluate(const EvalContext& c) {
  const QuantizeShape s(c);
  const float* zero_points = zeroPoints(c);
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* scales = c.in(kQuantizeScale).data<T>();
    visitCodeOrBias(c, [&](auto code_tag) {
      const auto* codes = c.in(kQuantizeX).data<decltype(code_tag)>();
      for (int64_t i = 0; i < c.out().size; ++i) {
        const int64_t channel = i / s.inner % s.channels;
        const T zero_point = zero_points == nullptr ? T{0} : static_cast<T>(zero_points[channel]);
        c.out().data<T>()[i] = (static_cast<T>(codes[i]) - zero_point) * scales[channel];
      }
    });
  });
}

void kernel(const EvalContext& c) {
  const QuantizeShape s(c);
  const float* zero_points = zeroPoints(c);
  visitCodeOrBias(c, [&](auto tag) {
    using Code = decltype(tag);
    kernels::dequantizePerChannel<Code>(c.in(kQuantizeX).data<Code>(), s.outer, s.channels, s.inner,
                                        c.in(kQuantizeScale).data<float>(), zero_points,
                                        c.out().data<float>(), c.pool);
  });
}

std::vector<OpExample> examples() {
  const Tensor codes = exampleIntegers({2, 3, 4}, 0, 127);
  const auto as = [&](ElementType type) { return codes.converted(type); };
  const Tensor nibbles = exampleIntegers({2, 3, 4}, 0, 7);
  const Tensor scale = Tensor::scalar<double>(1.0 / 64);
  const Tensor scales = Tensor::of<double>({3}, {0.125, 1.0 / 64, 1.0 / 256});
  return {
      {"uint8", {}, {as(ElementType::kUint8), scale, Tensor::scalar<uint8_t>(64)}},
      {"int8", {}, {as(ElementType::kInt8), scale, Tensor::scalar<int8_t>(-3)}},
      {"uint16", {}, {as(ElementType::kUint16), scale, Tensor::scalar<uint16_t>(300)}},
      {"int16", {}, {as(ElementType::kInt16), scale}},
      {"int4", {}, {nibbles.converted(ElementType::kInt4), scales}},
      {"uint4",
       {},
       {nibbles.converted(ElementType::kUint4), scale,
        Tensor::scalar<uint8_t>(5).converted(ElementType::kUint4)}},
      {"bias", {{"axis", int64_t{-2}}}, {as(ElementType::kInt32), scales}},
      {"channels", {}, {as(ElementType::kUint8), scales, Tensor::of<uint8_t>({3}, {0, 100, 255})}},
  };
}

}  // namespace

OpDefinition defineDequantizeLinear() {
  OpDefinition op;
  op.name = "DequantizeLinear";
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
