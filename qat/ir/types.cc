#include "qat/ir/types.h"

#include <algorithm>

#include "qat/base/tensor.h"
#include "qat/base/text.h"

namespace simaqat {

bool TensorType::isStatic() const {
  return shape && std::all_of(shape->begin(), shape->end(), [](const Dim& d) { return d.known(); });
}

std::vector<int64_t> TensorType::dims() const {
  SIMAQAT_CHECK(isStatic(), "{}", typeToString(*this));
  std::vector<int64_t> dims;
  dims.reserve(shape->size());
  for (const Dim& dim : *shape) dims.push_back(dim.value);
  return dims;
}

int64_t TensorType::size() const { return elementCount(dims()); }

int64_t TensorType::bytes() const {
  if (element == ElementType::kBit) return size() / 8 + (size() % 8 > 0 ? 1 : 0);
  int64_t result = 0;
  if (__builtin_mul_overflow(size(), static_cast<int64_t>(elementSize(element)), &result)) {
    throw inputError("a tensor of type {} is too large", typeToString(*this));
  }
  return result;
}

Shape toShape(Span<const int64_t> dims) { return Shape(dims.begin(), dims.end()); }

std::string shapeToString(const Shape& shape) {
  std::vector<std::string> parts;
  for (const Dim& dim : shape) {
    parts.push_back(dim.known()           ? std::to_string(dim.value)
                    : dim.symbol.empty() ? "?"
                                         : dim.symbol);
  }
  return fmt::format("[{}]", joined(parts));
}

std::string typeToString(const TensorType& type) {
  return elementTypeName(type.element) + (type.shape ? shapeToString(*type.shape) : "[*]");
}

}  // namespace simaqat
