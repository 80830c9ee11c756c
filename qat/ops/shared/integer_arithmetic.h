// What the operators on 8-bit codes share. They are there to run such models, not to train them.
#pragma once

#include <cmath>
#include <limits>

#include "qat/ops/shared/broadcast.h"

namespace simaqat::ops {

inline bool isCode(ElementType type) {
  return type == ElementType::kUint8 || type == ElementType::kInt8;
}
// Fails naming the node unless the input holds codes.
inline void expectCodes(const InferContext& c, size_t input) {
  if (!isCode(c.input(input).element)) {
    c.node.fail("input {}: expected uint8 or int8, got {}", input,
                elementTypeName(c.input(input).element));
  }
}

inline int32_t codeAt(const TensorView& codes, int64_t i) {
  return codes.type == ElementType::kUint8 ? codes.data<uint8_t>()[i] : codes.data<int8_t>()[i];
}

// A zero point or scale is one number for all, or one for each channel. An absent zero point is 0.
inline int32_t zeroPointAt(const EvalContext& c, size_t input, int64_t channel) {
  if (!c.hasIn(input)) return 0;
  return codeAt(c.in(input), c.in(input).size == 1 ? 0 : channel);
}
inline float scaleAt(const EvalContext& c, size_t input, int64_t channel) {
  const TensorView& scale = c.in(input);
  const int64_t i = scale.size == 1 ? 0 : channel;
  return scale.type == ElementType::kDouble ? static_cast<float>(scale.data<double>()[i])
                                            : scale.data<float>()[i];
}

// Sums of products wrap around, as the hardware's do.
inline void addProduct(int32_t& sum, int32_t a, int32_t b) {
  sum = static_cast<int32_t>(static_cast<uint32_t>(sum) + static_cast<uint32_t>(a * b));
}

// clamp(roundHalfToEven(sum * scale) + zero_point).
template <class Code>
Code requantized(int32_t sum, float scale, int32_t zero_point) {
  const float code =
      std::nearbyint(static_cast<float>(sum) * scale) + static_cast<float>(zero_point);
  const float lo = std::numeric_limits<Code>::lowest();
  const float hi = std::numeric_limits<Code>::max();
  return static_cast<Code>(code > lo ? std::min(code, hi) : lo);
}

// Calls function(Code{}) for the type of codes.
template <class Function>
void visitCode8(ElementType type, Function&& function) {
  if (type == ElementType::kUint8) {
    function(uint8_t{});
  } else {
    function(int8_t{});
  }
}

}  // namespace simaqat::ops
