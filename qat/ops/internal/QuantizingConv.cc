#include "qat/ops/shared/quantize_codes.h"
#include "qat/ops/shared/quantized_conv.h"
#include "qat/ops/shared/quantized_conv_attributes.h"

namespace simaqat::ops {
namespace {

// QuantizedConv, Clip and Quantize in one: y is never in memory. Inputs: QuantizedConv's, then
// those of a quantized result (quantize_codes.h). Outputs are Quantize's: the codes, and the scale,
// NaN where a result was.
constexpr size_t kResult = kQuantizedConvInputs;

void infer(InferContext& c) {
  c.setOutput(0, ElementType::kUint8, inferConv(c, c.node.attributes<QuantizingConvAttributes>()));
  c.setOutput(1, c.input(kResult).element, c.input(kResult).shape);
}

kernels::ConvShape shapeOf(const Node& node) {
  return quantizedConvShape(node, node.attributes<QuantizingConvAttributes>());
}

void evaluate(const EvalContext& c) {
  const auto& a = c.node.attributes<QuantizingConvAttributes>();
  kernels::ConvCodes codes{c.out(0).data<uint8_t>(), lineToCodes(c, kResult, a.qmin, a.qmax)};
  kernels::ConvResults results;
  results.codes = &codes;
  runQuantizedConv(c, shapeOf(c.node), results);
  *c.out(1).data<float>() =
      codes.has_nan ? std::numeric_limits<float>::quiet_NaN() : codes.line.scale;
}

}  // namespace

OpDefinition defineQuantizingConv() {
  OpDefinition op;
  op.name = "QuantizingConv";
  op.domain = "simaqat";
  op.min_inputs = kConvBias;  // which may be absent
  op.max_inputs = kResult + kQuantizedResultInputs;
  op.min_outputs = op.max_outputs = 2;
  op.make_attributes = &makeAttributes<QuantizingConvAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.workspace = [](const Node& node, int threads) {
    return quantizedConvBytes(shapeOf(node), threads);
  };
  op.operations = [](const Node& node) { return convOperations(shapeOf(node)); };
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
