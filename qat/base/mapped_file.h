// A file's bytes as memory: read from the disk where they are looked at, never copied.
#pragma once

#include <cstddef>
#include <string>

#include "qat/base/span.h"

namespace simaqat {

class MappedFile {
 public:
  // An Error that names the file where it cannot be read.
  explicit MappedFile(const std::string& path);
  MappedFile(MappedFile&& other) noexcept;
  ~MappedFile();

  const std::string& path() const { return path_; }
  Span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  std::string path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace simaqat
