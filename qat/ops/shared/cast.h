// What Cast, CastLike and operators with an element type as an attribute share.
#pragma once

#include <limits>
#include <string>

#include "qat/ops/shared/broadcast.h"

namespace simaqat::ops {

// static_cast, but for numbers that the type does not hold, which C++ leaves undefined: they
// become the nearest one, and NaN becomes 0.
template <class To, class From>
To converted(From x) {
  if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To> &&
                !std::is_same_v<To, bool>) {
    using Limits = std::numeric_limits<To>;
    if (x != x) return To{0};
    if (x <= static_cast<From>(Limits::min())) return Limits::min();
    // As a float the largest number may be rounded up to one that is too large.
    if (x >= static_cast<From>(Limits::max())) return Limits::max();
  }
  return static_cast<To>(x);
}

// Evaluation: the input's elements in the output's type.
void evaluateCast(const EvalContext& c);
// The rule, for an input and an output that are both floating-point; no gradient otherwise.
void castGradient(GradientContext& c);

// The element type that attribute `name` is; fails naming the node unless tensors may have it.
ElementType elementAttribute(const Node& node, const char* name, int64_t value);
// Floats of 16 bits are float32 here, as import makes them everywhere.
void widen16BitFloat(PortableNode& node, const std::string& attribute);

}  // namespace simaqat::ops
