// Whole files, read and written so that an interrupted write leaves the old file or the new one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "qat/base/mapped_file.h"

namespace simaqat {

// The file's bytes; an input Error that names it where it cannot be read.
std::string readFile(const std::string& path);

// The same without a copy, where it is a regular file: for large ones.
class FileBytes {
 public:
  explicit FileBytes(const std::string& path);
  std::string_view view() const;

 private:
  std::optional<MappedFile> mapped_;
  std::string read_;  // of what cannot be mapped: a pipe
};

// A file under a temporary name beside `path`, which takes its place on commit(). Where `path` is there
// and no regular file (a device, a pipe, standard output), nothing takes its place: what was written
// is copied into it on commit().
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();  // removes the temporary file unless committed
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::string_view bytes);
  // Anywhere; what lies between is zero. write() goes on where write() ended.
  void writeAt(uint64_t offset, std::string_view bytes);
  // Flushes to the disk, then renames.
  void commit();

 private:
  void copyInto() const;

  std::string path_;
  std::string temporary_;
  bool replaces_ = true;  // whether `path` is, or will be, a regular file
  uint64_t end_ = 0;      // of what write() wrote
  int descriptor_ = -1;
};

void writeFileAtomically(const std::string& path, std::string_view bytes);

// Whether `path` is there and no regular file, so that it is written into and never replaced.
bool isSpecialFile(const std::string& path);

}  // namespace simaqat
