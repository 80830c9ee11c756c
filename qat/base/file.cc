#include "qat/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "qat/base/error.h"

namespace simaqat {

std::string readFile(const std::string& path) {
  std::error_code code;
  if (std::filesystem::is_directory(path, code)) {
    throw inputError("{}: is a folder, not a file", path);
  }
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw inputError("{}: cannot be opened: {}", path, std::strerror(errno));
  const uintmax_t told = std::filesystem::file_size(path, code);
  // A pipe or a device tells no size.
  const std::streamsize size = code ? 0 : static_cast<std::streamsize>(told);
  std::string bytes;
  if (size > 0) {
    bytes.resize(static_cast<size_t>(size));
    stream.read(bytes.data(), size);
  } else {
    bytes.assign(std::istreambuf_iterator<char>(stream), {});
  }
  if (stream.bad() || (size > 0 && stream.gcount() != size)) {
    throw inputError("{}: cannot be read", path);
  }
  return bytes;
}

FileBytes::FileBytes(const std::string& path) {
  std::error_code code;
  if (std::filesystem::is_regular_file(path, code)) {
    mapped_.emplace(path);
  } else {
    read_ = readFile(path);
  }
}

std::string_view FileBytes::view() const {
  if (!mapped_) return read_;
  const Span<const std::byte> bytes = mapped_->bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

AtomicFile::AtomicFile(const std::string& path)
    : path_(path), temporary_(fmt::format("{}.tmp-{}", path, ::getpid())) {
  std::error_code code;
  if (path.empty() || std::filesystem::is_directory(path, code)) {
    throw runtimeError("'{}': cannot be written: is no name of a file", path);
  }
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) throw runtimeError("{}: cannot be written: {}", path_, std::strerror(errno));
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
    ::unlink(temporary_.c_str());
  }
}

void AtomicFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      throw runtimeError("{}: cannot be written: {}", path_, std::strerror(errno));
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    throw runtimeError("{}: cannot be written: {}", path_, std::strerror(errno));
  }
  ::close(descriptor_);
  descriptor_ = -1;
  // The rename itself is on the disk once the folder is.
  const std::string folder = std::filesystem::path(path_).parent_path().string();
  const int folder_descriptor = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_CLOEXEC);
  if (folder_descriptor >= 0) {
    ::fsync(folder_descriptor);
    ::close(folder_descriptor);
  }
}

void writeFileAtomically(const std::string& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

}  // namespace simaqat
