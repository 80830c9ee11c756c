// Nodes that several gradient rules add.
#pragma once

#include <vector>

#include "qat/ir/op.h"

namespace simaqat::ops {

struct TransposeAttributes {
  // Empty: the axes in reverse.
  std::vector<int64_t> perm;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("perm", self.perm);
  }
};

struct CastAttributes {
  int64_t to = 0;
  bool saturate = true;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit.required("to", self.to);
    visit("saturate", self.saturate);
  }
};

inline Value* integers(GradientContext& c, const std::vector<int64_t>& list) {
  return c.constant(Tensor::of({static_cast<int64_t>(list.size())}, list));
}

inline Value* reshaped(GradientContext& c, Value* value, const std::vector<int64_t>& dims) {
  return c.add("Reshape", {value, integers(c, dims)});
}

// dy times what a derivative says, or over it. Both are 0 where dy is 0, whatever the derivative: a
// NaN or an infinity in a branch that Where left out does not reach a gradient.
inline Value* gradientTimes(GradientContext& c, Value* dy, Value* factor) {
  return c.add("simaqat::GradientProduct", {dy, factor});
}
inline Value* gradientOver(GradientContext& c, Value* dy, Value* divisor) {
  return c.add("simaqat::GradientQuotient", {dy, divisor});
}

// The last two axes exchanged.
inline Value* matrixTranspose(GradientContext& c, Value* value) {
  TransposeAttributes attributes;
  const auto rank = static_cast<int64_t>(value->type.rank());
  for (int64_t axis = 0; axis < rank; ++axis) attributes.perm.push_back(axis);
  std::swap(attributes.perm[static_cast<size_t>(rank - 1)],
            attributes.perm[static_cast<size_t>(rank - 2)]);
  return c.add("Transpose", {value}, attributes);
}

inline Value* castLike(GradientContext& c, Value* value, const Value* like) {
  if (value->type.element == like->type.element) return value;
  CastAttributes attributes;
  attributes.to = static_cast<int64_t>(like->type.element);
  return c.add("Cast", {value}, attributes);
}

// The rule of an operator that gives its input's elements in another shape of the same size.
inline void reshapeGradient(GradientContext& c) {
  c.setInputGradient(0, c.reshapeLike(c.outputGradient(), c.input(0)));
}

}  // namespace simaqat::ops
