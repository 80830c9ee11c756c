// Types of values: an element type and a shape whose dimensions may be symbolic.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "qat/base/element_type.h"
#include "qat/base/span.h"

namespace simaqat {

// A number, or a symbol such as the batch "N", or unknown (no number and no symbol).
struct Dim {
  static constexpr int64_t kUnknown = -1;

  Dim() = default;
  Dim(int64_t number) : value(number) {}  // NOLINT: a number is a dimension
  static Dim named(std::string symbol) {
    Dim dim;
    dim.symbol = std::move(symbol);
    return dim;
  }

  bool known() const { return value >= 0; }
  bool operator==(const Dim& other) const {
    return value == other.value && symbol == other.symbol;
  }
  bool operator!=(const Dim& other) const { return !(*this == other); }

  int64_t value = kUnknown;
  std::string symbol;
};

using Shape = std::vector<Dim>;

struct TensorType {
  ElementType element = ElementType::kUndefined;
  // Absent where not even the rank is known.
  std::optional<Shape> shape;

  // True where every dimension is a number.
  bool isStatic() const;
  size_t rank() const { return shape ? shape->size() : 0; }
  // The dimensions as numbers; to be asked of static types only.
  std::vector<int64_t> dims() const;
  // Elements and bytes of a static type.
  int64_t size() const;
  int64_t bytes() const;
  bool operator==(const TensorType& other) const {
    return element == other.element && shape == other.shape;
  }
};

Shape toShape(Span<const int64_t> dims);
// "[N, 3, 32, 32]", "?" for an unknown dimension.
std::string shapeToString(const Shape& shape);
// "float[N, 3, 32, 32]", "float[*]" where the rank is unknown.
std::string typeToString(const TensorType& type);

}  // namespace simaqat
