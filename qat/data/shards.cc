#include "qat/data/shards.h"

#include <archive.h>
#include <archive_entry.h>
#include <glob.h>

#include <algorithm>
#include <memory>
#include <new>
#include <utility>

#include "qat/base/error.h"

namespace simaqat {
namespace {

std::vector<std::string> matches(const std::string& pattern) {
  glob_t found = {};
  const int code = ::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found);
  std::vector<std::string> paths(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  if (code == GLOB_NOSPACE) throw std::bad_alloc();
  if (paths.empty()) throw inputError("{}: matches no file", pattern);
  std::sort(paths.begin(), paths.end());
  return paths;
}

struct ArchiveCloser {
  void operator()(archive* opened) const { archive_read_free(opened); }
};
using Archive = std::unique_ptr<archive, ArchiveCloser>;

Error damaged(const MappedFile& file, archive* opened) {
  const char* reason = archive_error_string(opened);
  return inputError("{}: is no sound tar file: {}", file.path(), reason ? reason : "unknown reason");
}

// libarchive is given the file as one block of memory and tells where in it a member's data is.
Archive openTar(const MappedFile& file) {
  Archive opened(archive_read_new());
  if (!opened) throw std::bad_alloc();
  archive_read_support_format_tar(opened.get());
  if (archive_read_open_memory(opened.get(), file.bytes().data(), file.bytes().size()) !=
      ARCHIVE_OK) {
    throw damaged(file, opened.get());
  }
  return opened;
}

Span<const std::byte> dataOf(const MappedFile& file, archive* opened, archive_entry* entry) {
  const void* data = nullptr;
  size_t size = 0;
  la_int64_t offset = 0;
  const int code = archive_read_data_block(opened, &data, &size, &offset);
  if (code != ARCHIVE_OK && code != ARCHIVE_EOF) throw damaged(file, opened);
  if (code == ARCHIVE_EOF) size = 0;
  if (offset != 0 || static_cast<la_int64_t>(size) != archive_entry_size(entry)) {
    throw inputError("{}: {}: is not in one piece", file.path(), archive_entry_pathname(entry));
  }
  return {static_cast<const std::byte*>(data), size};
}

// The name up to the first dot of its last part, and what stands behind that dot.
std::pair<std::string, std::string> splitName(const std::string& name) {
  const size_t slash = name.rfind('/');
  const size_t dot = name.find('.', slash == std::string::npos ? 0 : slash + 1);
  if (dot == std::string::npos) return {name, ""};
  return {name.substr(0, dot), name.substr(dot + 1)};
}

}  // namespace

Shards::Shards(const std::string& pattern, std::vector<std::string> members)
    : members_(std::move(members)) {
  for (const std::string& path : matches(pattern)) files_.emplace_back(path);
  for (size_t file = 0; file < files_.size(); ++file) readFile(file);
}

void Shards::readFile(size_t file) {
  const MappedFile& mapped = files_[file];
  const Archive opened = openTar(mapped);
  archive_entry* entry = nullptr;
  int code = ARCHIVE_OK;
  while ((code = archive_read_next_header(opened.get(), &entry)) == ARCHIVE_OK) {
    if (archive_entry_filetype(entry) != AE_IFREG) continue;
    const char* name = archive_entry_pathname(entry);
    if (name == nullptr) throw inputError("{}: has a member without a name", mapped.path());
    if (!isWanted(name)) continue;
    addMember(file, name, dataOf(mapped, opened.get(), entry));
  }
  if (code != ARCHIVE_EOF) throw damaged(mapped, opened.get());
  checkComplete();
}

bool Shards::isWanted(const std::string& name) const {
  const std::string member = splitName(name).second;
  return std::find(members_.begin(), members_.end(), member) != members_.end();
}

void Shards::addMember(size_t file, const std::string& name, Span<const std::byte> bytes) {
  const auto [key, member] = splitName(name);
  if (samples_.empty() || samples_.back().file != file || samples_.back().key != key) {
    checkComplete();
    samples_.push_back({key, file, std::vector<Span<const std::byte>>(members_.size()),
                        std::vector<bool>(members_.size())});
  }
  Sample& sample = samples_.back();
  const size_t index = indexOf(member);
  if (sample.found[index]) throw inputError("{}: has {} twice", files_[file].path(), name);
  sample.found[index] = true;
  sample.members[index] = bytes;
}

void Shards::checkComplete() const {
  if (samples_.empty()) return;
  const Sample& sample = samples_.back();
  for (size_t i = 0; i < members_.size(); ++i) {
    if (sample.found[i]) continue;
    throw inputError("{}: sample '{}' has no member '{}' beside its others",
                     files_[sample.file].path(), sample.key, members_[i]);
  }
}

size_t Shards::indexOf(const std::string& member) const {
  const auto found = std::find(members_.begin(), members_.end(), member);
  SIMAQAT_CHECK(found != members_.end(), "{}", member);
  return static_cast<size_t>(found - members_.begin());
}

Span<const std::byte> Shards::bytes(int64_t sample, const std::string& member) const {
  return samples_[static_cast<size_t>(sample)].members[indexOf(member)];
}

std::string Shards::place(int64_t sample, const std::string& member) const {
  const Sample& named = samples_[static_cast<size_t>(sample)];
  return files_[named.file].path() + ": " + named.key + "." + member;
}

}  // namespace simaqat
