#include "qat/base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "qat/base/error.h"

namespace simaqat {

MappedFile::MappedFile(const std::string& path) : path_(path) {
  const auto fail = [&](int code) {
    return inputError("{}: cannot be opened: {}", path, std::strerror(code));
  };
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw fail(errno);
  struct stat status;
  int code = ::fstat(descriptor, &status) != 0 ? errno : S_ISREG(status.st_mode) ? 0 : EISDIR;
  if (code == 0 && status.st_size > 0) {
    const auto size = static_cast<size_t>(status.st_size);
    void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (data == MAP_FAILED) {
      code = errno;
    } else {
      data_ = static_cast<const std::byte*>(data);
      size_ = size;
    }
  }
  ::close(descriptor);
  if (code != 0) throw fail(code);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace simaqat
