#include "qat/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
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

namespace {

Error cannotWrite(const std::string& path) {
  return runtimeError("{}: cannot be written: {}", path, std::strerror(errno));
}

// A file of no name, gone with its descriptor.
int openUnnamed() {
  std::string name = (std::filesystem::temp_directory_path() / "simaqat-XXXXXX").string();
  const int descriptor = ::mkostemp(name.data(), O_CLOEXEC);
  if (descriptor >= 0) ::unlink(name.c_str());
  return descriptor;
}

}  // namespace

bool isSpecialFile(const std::string& path) {
  std::error_code code;
  const std::filesystem::file_status status = std::filesystem::status(path, code);
  return std::filesystem::exists(status) && !std::filesystem::is_regular_file(status) &&
         !std::filesystem::is_directory(status);
}

AtomicFile::AtomicFile(const std::string& path)
    : path_(path), temporary_(fmt::format("{}.tmp-{}", path, ::getpid())) {
  std::error_code code;
  if (path.empty() || std::filesystem::is_directory(path, code)) {
    throw runtimeError("'{}': cannot be written: is no name of a file", path);
  }
  replaces_ = !isSpecialFile(path);
  descriptor_ = replaces_ ? ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)
                          : openUnnamed();
  if (descriptor_ < 0) throw cannotWrite(path_);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  if (replaces_) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::string_view bytes) {
  writeAt(end_, bytes);
  end_ += bytes.size();
}

void AtomicFile::writeAt(uint64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written =
        ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) continue;
      throw cannotWrite(path_);
    }
    bytes.remove_prefix(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
}

void AtomicFile::copyInto() const {
  const int target = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
  if (target < 0) throw cannotWrite(path_);
  std::string buffer(size_t{1} << 20, '\0');
  uint64_t at = 0;
  ssize_t got = 0;
  bool written = true;
  while (written && (got = ::pread(descriptor_, buffer.data(), buffer.size(),
                                   static_cast<off_t>(at))) > 0) {
    at += static_cast<uint64_t>(got);
    for (ssize_t done = 0; written && done < got;) {
      const ssize_t some = ::write(target, buffer.data() + done, static_cast<size_t>(got - done));
      written = some >= 0 || errno == EINTR;
      done += std::max<ssize_t>(some, 0);
    }
  }
  const int error = errno;
  ::close(target);
  errno = error;
  if (!written || got < 0) throw cannotWrite(path_);
}

void AtomicFile::commit() {
  if (!replaces_) {
    copyInto();
    ::close(descriptor_);
    descriptor_ = -1;
    return;
  }
  if (::fsync(descriptor_) != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    throw cannotWrite(path_);
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
