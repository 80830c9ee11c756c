// Bytes that come one after the other: from a file, plain or gzipped, or from a zip's member.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "qat/base/tensor.h"

namespace simaqat {

class ByteStream {
 public:
  explicit ByteStream(std::string name) : name_(std::move(name)) {}
  virtual ~ByteStream() = default;
  ByteStream(const ByteStream&) = delete;
  ByteStream& operator=(const ByteStream&) = delete;

  // What errors call it.
  const std::string& name() const { return name_; }
  // Fills `to`, or less at the end; an Error where the source is damaged.
  virtual size_t read(std::byte* to, size_t bytes) = 0;
  // The bytes still to come, where that is known before they are read.
  virtual std::optional<uint64_t> remaining() const { return std::nullopt; }

 private:
  std::string name_;
};

// A file's bytes; those within where it is gzipped.
std::unique_ptr<ByteStream> openFile(const std::string& path);

// Exactly so many bytes of a header, else an Error; headers are short.
std::string readHeader(ByteStream& stream, size_t bytes);

// The stream's last part, as a tensor: an Error where there are fewer bytes, or more.
Tensor readElements(ByteStream& stream, ElementType type, std::vector<int64_t> dims);

}  // namespace simaqat
