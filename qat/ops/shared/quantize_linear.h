// What QuantizeLinear and DequantizeLinear share.
#pragma once

#include "kernels/fake_quantize.h"
#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/quantize_linear_attributes.h"

namespace simaqat::ops {

enum QuantizeInput { kQuantizeX, kQuantizeScale, kQuantizeZeroPoint };

// What both shape rules check: one scale, or one for each index of the axis.
void checkQuantizeLinear(const InferContext& c);

// Drops what older opsets do not have; fails where it matters.
void downgradeQuantizeLinear(PortableNode& node, int opset);

// x as [outer, channels, inner], with a scale for each channel.
struct QuantizeShape {
  explicit QuantizeShape(const EvalContext& c);
  int64_t outer = 1, channels = 1, inner = 1;
};

// The zero points as floats, as the kernels take them, in the workspace; null where there are none.
const float* zeroPoints(const EvalContext& c);
int64_t zeroPointWorkspace(const Node& node, int threads);

// The least and the greatest code of a type.
struct CodeRange {
  float lo;
  float hi;
};
CodeRange codeRange(ElementType type);

// Calls function(Code{}) for the types of codes that are trained with.
template <class Function>
void visitCode(const EvalContext& c, ElementType type, Function&& function) {
  visitNumber(c, type, [&](auto tag) {
    using Code = decltype(tag);
    if constexpr (std::is_integral_v<Code> && sizeof(Code) <= 2) {
      function(tag);
    } else {
      c.node.fail("codes of {} are not supported", elementTypeName(type));
    }
  });
}

}  // namespace simaqat::ops
