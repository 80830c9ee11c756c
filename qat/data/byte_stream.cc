#include "qat/data/byte_stream.h"

#include <algorithm>
#include <cstring>

namespace simaqat {
namespace {

size_t payloadBytes(const ByteStream& stream, ElementType type, const std::vector<int64_t>& dims) {
  size_t bytes = elementSize(type);
  for (int64_t dim : dims) {
    if (dim < 0 || __builtin_mul_overflow(bytes, static_cast<size_t>(dim), &bytes)) {
      throw inputError("{}: its dimensions {} are not valid", stream.name(), dimsToString(dims));
    }
  }
  return bytes;
}

Error truncated(const ByteStream& stream, uint64_t expected, uint64_t got) {
  return inputError("{}: is truncated: its header promises {} bytes of data, {} are there",
                    stream.name(), expected, got);
}

// Without trust in `bytes`: the buffer never outgrows twice what has come.
std::vector<std::byte> readGrowing(ByteStream& stream, size_t bytes) {
  constexpr size_t kFirstStep = size_t{1} << 16;
  std::vector<std::byte> data;
  while (data.size() < bytes) {
    const size_t have = data.size();
    const size_t step = std::min(bytes - have, std::max(have, kFirstStep));
    data.resize(have + step);
    const size_t got = stream.read(data.data() + have, step);
    if (got < step) throw truncated(stream, bytes, have + got);
  }
  return data;
}

}  // namespace

std::string readHeader(ByteStream& stream, size_t bytes) {
  std::string header(bytes, '\0');
  if (stream.read(reinterpret_cast<std::byte*>(header.data()), bytes) != bytes) {
    throw inputError("{}: is truncated within its header", stream.name());
  }
  return header;
}

Tensor readElements(ByteStream& stream, ElementType type, std::vector<int64_t> dims) {
  const size_t bytes = payloadBytes(stream, type, dims);
  Tensor tensor;
  if (const std::optional<uint64_t> remaining = stream.remaining()) {
    if (*remaining < bytes) throw truncated(stream, bytes, *remaining);
    tensor = Tensor(type, std::move(dims));
    const size_t got = stream.read(tensor.mutableRawData(), bytes);
    if (got < bytes) throw truncated(stream, bytes, got);
  } else {
    const std::vector<std::byte> data = readGrowing(stream, bytes);
    tensor = Tensor(type, std::move(dims));
    if (bytes > 0) std::memcpy(tensor.mutableRawData(), data.data(), bytes);
  }
  // This read also makes a compressed stream compare its checksum.
  std::byte beyond;
  if (stream.read(&beyond, 1) != 0) {
    throw inputError("{}: is longer than the {} bytes of data that its header promises",
                     stream.name(), bytes);
  }
  return tensor;
}

}  // namespace simaqat
