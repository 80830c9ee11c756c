#include "qat/base/element_type.h"

namespace simaqat {

size_t elementSize(ElementType type) {
  switch (type) {
    case ElementType::kBool:
    case ElementType::kUint8:
    case ElementType::kInt8:
    case ElementType::kUint4:
    case ElementType::kInt4:
      return 1;
    case ElementType::kUint16:
    case ElementType::kInt16:
    case ElementType::kFloat16:
    case ElementType::kBfloat16:
      return 2;
    case ElementType::kFloat:
    case ElementType::kInt32:
    case ElementType::kUint32:
      return 4;
    case ElementType::kDouble:
    case ElementType::kInt64:
    case ElementType::kUint64:
      return 8;
    case ElementType::kUndefined:
    case ElementType::kString:
    case ElementType::kBit:
      break;
  }
  return 0;
}

std::string elementTypeName(ElementType type) {
  switch (type) {
    case ElementType::kUndefined:
      return "undefined";
    case ElementType::kFloat:
      return "float";
    case ElementType::kUint8:
      return "uint8";
    case ElementType::kInt8:
      return "int8";
    case ElementType::kUint16:
      return "uint16";
    case ElementType::kInt16:
      return "int16";
    case ElementType::kInt32:
      return "int32";
    case ElementType::kInt64:
      return "int64";
    case ElementType::kString:
      return "string";
    case ElementType::kBool:
      return "bool";
    case ElementType::kFloat16:
      return "float16";
    case ElementType::kDouble:
      return "double";
    case ElementType::kUint32:
      return "uint32";
    case ElementType::kUint64:
      return "uint64";
    case ElementType::kBfloat16:
      return "bfloat16";
    case ElementType::kUint4:
      return "uint4";
    case ElementType::kInt4:
      return "int4";
    case ElementType::kBit:
      return "bit";
  }
  return "type " + std::to_string(static_cast<int>(type));
}

ElementType storageType(ElementType type) {
  if (type == ElementType::kInt4) return ElementType::kInt8;
  return type == ElementType::kUint4 ? ElementType::kUint8 : type;
}

bool isFloatingPoint(ElementType type) {
  return type == ElementType::kFloat || type == ElementType::kDouble ||
         type == ElementType::kFloat16 || type == ElementType::kBfloat16;
}

}  // namespace simaqat
