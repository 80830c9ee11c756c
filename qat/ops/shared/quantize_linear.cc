#include "qat/ops/shared/quantize_linear.h"

#include <limits>

namespace simaqat::ops {
namespace {

bool isOne(const Shape& scale) { return scale.empty() || scale == Shape{1}; }

}  // namespace

void checkQuantizeLinear(const InferContext& c) {
  const auto& attributes = c.node.attributes<QuantizeLinearAttributes>();
  if (attributes.block_size != 0) {
    c.node.fail("attribute 'block_size': scales for blocks are not supported");
  }
  const Shape* x = c.shape(kQuantizeX);
  const Shape* scale = c.shape(kQuantizeScale);
  if (x != nullptr && scale != nullptr && !isOne(*scale)) {
    c.expectRank(kQuantizeScale, 1);
    const Dim& channels = (*x)[static_cast<size_t>(
        normalizeAxis(c.node, attributes.axis, static_cast<int64_t>(x->size())))];
    if (channels.known() && (*scale)[0].known() && channels.value != (*scale)[0].value) {
      c.node.fail("input 1: expected {} scales, got {}", channels.value, shapeToString(*scale));
    }
  }
  const Shape* zero_point = c.shape(kQuantizeZeroPoint);
  if (scale != nullptr && zero_point != nullptr && *scale != *zero_point &&
      !(isOne(*scale) && isOne(*zero_point))) {
    c.node.fail("input 2: expected the shape of the scale, {}, got {}", shapeToString(*scale),
                shapeToString(*zero_point));
  }
}

CodeRange codeRange(ElementType type) {
  if (type == ElementType::kInt4) return {-8, 7};
  if (type == ElementType::kUint4) return {0, 15};
  return visitElementType(type, [](auto tag) {
    using Code = decltype(tag);
    return CodeRange{static_cast<float>(std::numeric_limits<Code>::lowest()),
                     static_cast<float>(std::numeric_limits<Code>::max())};
  });
}

void downgradeQuantizeLinear(PortableNode& node, int opset) {
  if (opset < 23) node.attributes.erase("precision");
  if (opset >= 21) return;
  const bool has_zero_point =
      node.inputs.size() > kQuantizeZeroPoint && !node.inputs[kQuantizeZeroPoint].empty();
  // Codes are what DequantizeLinear takes, or of the zero point's type.
  for (const std::string& input : node.inputs) {
    const Tensor* codes = node.constant(input);
    if (codes != nullptr && firstOpsetOf(codes->type()) > opset) {
      node.fail(fmt::format("codes of {} need opset {} or later", elementTypeName(codes->type()),
                            firstOpsetOf(codes->type())));
    }
  }
  if (node.attributes.erase("output_dtype") != 0 && !has_zero_point) {
    node.fail("attribute 'output_dtype' needs opset 21 or later, or a zero point");
  }
  if (opset < 19) node.attributes.erase("saturate");
}

QuantizeShape::QuantizeShape(const EvalContext& c) {
  const TensorView& x = c.in(kQuantizeX);
  if (c.in(kQuantizeScale).size == 1) {
    inner = x.size;
    return;
  }
  const auto axis = static_cast<size_t>(
      normalizeAxis(c.node, c.node.attributes<QuantizeLinearAttributes>().axis, x.rank()));
  for (size_t k = 0; k < x.dims.size(); ++k) {
    (k < axis ? outer : k == axis ? channels : inner) *= x.dims[k];
  }
}

const float* zeroPoints(const EvalContext& c) {
  if (!c.hasIn(kQuantizeZeroPoint)) return nullptr;
  const TensorView& from = c.in(kQuantizeZeroPoint);
  auto* to = reinterpret_cast<float*>(c.workspace);
  visitNumber(c, from.type, [&](auto tag) {
    const auto* codes = from.data<decltype(tag)>();
    for (int64_t i = 0; i < from.size; ++i) to[i] = static_cast<float>(codes[i]);
  });
  return to;
}

int64_t zeroPointWorkspace(const Node& node, int) {
  const Value* zero_point = node.input(kQuantizeZeroPoint);
  return zero_point == nullptr ? 0 : zero_point->type.size() * static_cast<int64_t>(sizeof(float));
}

}  // namespace simaqat::ops
