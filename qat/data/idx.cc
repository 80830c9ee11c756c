#include "qat/data/idx.h"

#include <algorithm>

namespace simaqat {
namespace {

// Undefined for a code that IDX does not have.
ElementType elementType(char code) {
  switch (code) {
    case 0x08:
      return ElementType::kUint8;
    case 0x09:
      return ElementType::kInt8;
    case 0x0B:
      return ElementType::kInt16;
    case 0x0C:
      return ElementType::kInt32;
    case 0x0D:
      return ElementType::kFloat;
    case 0x0E:
      return ElementType::kDouble;
    default:
      return ElementType::kUndefined;
  }
}

// IDX is big-endian, we are not.
void swapBytes(Tensor& tensor) {
  const size_t size = elementSize(tensor.type());
  if (size == 1) return;
  std::byte* bytes = tensor.mutableRawData();
  for (std::byte* end = bytes + tensor.bytes(); bytes < end; bytes += size) {
    std::reverse(bytes, bytes + size);
  }
}

}  // namespace

bool looksLikeIdx(std::string_view beginning) {
  return beginning.size() >= 4 && beginning[0] == 0 && beginning[1] == 0 &&
         elementType(beginning[2]) != ElementType::kUndefined && beginning[3] != 0;
}

Tensor readIdx(ByteStream& stream) {
  const std::string magic = readHeader(stream, 4);
  if (!looksLikeIdx(magic)) throw inputError("{}: is not IDX", stream.name());
  std::vector<int64_t> dims(static_cast<uint8_t>(magic[3]));
  for (int64_t& dim : dims) {
    for (char byte : readHeader(stream, 4)) dim = dim << 8 | static_cast<uint8_t>(byte);
  }
  Tensor tensor = readElements(stream, elementType(magic[2]), std::move(dims));
  swapBytes(tensor);
  return tensor;
}

}  // namespace simaqat
