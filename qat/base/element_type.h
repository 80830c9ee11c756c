// Element types of tensors; the numbers are those of ONNX's TensorProto.DataType.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "qat/base/error.h"

namespace simaqat {

enum class ElementType : int32_t {
  kUndefined = 0,
  kFloat = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kString = 8,
  kBool = 9,
  kFloat16 = 10,
  kDouble = 11,
  kUint32 = 12,
  kUint64 = 13,
  kBfloat16 = 16,
  kUint4 = 21,
  kInt4 = 22,
  kBit = 1001,  // eight to a byte, the first in its lowest bit: masks within a step, in no file
};

// Bytes of one element; 0 for types that the executor does not hold, and for kBit. Four bits take a
// byte: only files pack them.
size_t elementSize(ElementType type);
// The type whose C++ type holds the elements: kInt8 for kInt4, kUint8 for kUint4, else itself.
ElementType storageType(ElementType type);
// "float", "uint8", ...: ONNX's own words.
std::string elementTypeName(ElementType type);
bool isFloatingPoint(ElementType type);

template <class T>
struct ElementTypeOf;
#define SIMAQAT_ELEMENT_TYPE(cpp, type)                   \
  template <>                                             \
  struct ElementTypeOf<cpp> {                             \
    static constexpr ElementType value = ElementType::type; \
  };
SIMAQAT_ELEMENT_TYPE(float, kFloat)
SIMAQAT_ELEMENT_TYPE(double, kDouble)
SIMAQAT_ELEMENT_TYPE(bool, kBool)
SIMAQAT_ELEMENT_TYPE(uint8_t, kUint8)
SIMAQAT_ELEMENT_TYPE(int8_t, kInt8)
SIMAQAT_ELEMENT_TYPE(uint16_t, kUint16)
SIMAQAT_ELEMENT_TYPE(int16_t, kInt16)
SIMAQAT_ELEMENT_TYPE(int32_t, kInt32)
SIMAQAT_ELEMENT_TYPE(int64_t, kInt64)
SIMAQAT_ELEMENT_TYPE(uint32_t, kUint32)
SIMAQAT_ELEMENT_TYPE(uint64_t, kUint64)
#undef SIMAQAT_ELEMENT_TYPE

// Calls `function(T{})` with T the C++ type of `type`, for the types the executor computes with.
template <class Function>
decltype(auto) visitElementType(ElementType type, Function&& function) {
  switch (storageType(type)) {
    case ElementType::kFloat:
      return function(float{});
    case ElementType::kDouble:
      return function(double{});
    case ElementType::kBool:
      return function(bool{});
    case ElementType::kUint8:
      return function(uint8_t{});
    case ElementType::kInt8:
      return function(int8_t{});
    case ElementType::kUint16:
      return function(uint16_t{});
    case ElementType::kInt16:
      return function(int16_t{});
    case ElementType::kInt32:
      return function(int32_t{});
    case ElementType::kInt64:
      return function(int64_t{});
    case ElementType::kUint32:
      return function(uint32_t{});
    case ElementType::kUint64:
      return function(uint64_t{});
    default:
      throw inputError("element type {} is not supported here", elementTypeName(type));
  }
}

}  // namespace simaqat
