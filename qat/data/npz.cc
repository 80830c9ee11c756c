#include "qat/data/npz.h"

#include <archive.h>
#include <archive_entry.h>

#include <memory>
#include <vector>

#include "qat/base/text.h"
#include "qat/data/byte_stream.h"
#include "qat/data/npy.h"

namespace simaqat {
namespace {

struct ArchiveCloser {
  void operator()(archive* opened) const { archive_read_free(opened); }
};
using Archive = std::unique_ptr<archive, ArchiveCloser>;

Error damaged(const std::string& path, archive* opened) {
  const char* reason = archive_error_string(opened);
  return inputError("{}: is a damaged .npz: {}", path, reason ? reason : "unknown reason");
}

Archive openArchive(const std::string& path) {
  Archive opened(archive_read_new());
  if (!opened) throw std::bad_alloc();
  archive_read_support_filter_gzip(opened.get());
  archive_read_support_format_zip(opened.get());
  if (archive_read_open_filename(opened.get(), path.c_str(), size_t{1} << 18) != ARCHIVE_OK) {
    throw damaged(path, opened.get());
  }
  return opened;
}

// The archive's current member.
class Member : public ByteStream {
 public:
  Member(std::string name, archive* opened) : ByteStream(std::move(name)), opened_(opened) {}

  size_t read(std::byte* to, size_t bytes) override {
    size_t done = 0;
    while (done < bytes) {
      const la_ssize_t got = archive_read_data(opened_, to + done, bytes - done);
      if (got < 0) throw damaged(name(), opened_);
      if (got == 0) break;
      done += static_cast<size_t>(got);
    }
    return done;
  }

 private:
  archive* opened_;
};

const std::string kSuffix = ".npy";

// The next member's name; false at the end.
bool nextMember(const std::string& path, archive* opened, std::string& name) {
  archive_entry* entry = nullptr;
  const int code = archive_read_next_header(opened, &entry);
  if (code == ARCHIVE_EOF) return false;
  if (code != ARCHIVE_OK && code != ARCHIVE_WARN) throw damaged(path, opened);
  const char* entry_name = archive_entry_pathname(entry);
  name = entry_name ? entry_name : "";
  return true;
}

// The array's name, of its member's.
std::string keyOf(const std::string& name) {
  const size_t stem = name.size() < kSuffix.size() ? 0 : name.size() - kSuffix.size();
  return name.substr(stem) == kSuffix ? name.substr(0, stem) : name;
}

}  // namespace

Tensor readNpz(const std::string& path, const std::string& key) {
  constexpr size_t kKeysShown = 20;
  const Archive opened = openArchive(path);
  std::vector<std::string> keys;
  for (std::string name; nextMember(path, opened.get(), name);) {
    if (!key.empty() && name == key + kSuffix) {
      Member member(path + "#" + key, opened.get());
      return readNpy(member);
    }
    if (keys.size() < kKeysShown) keys.push_back(keyOf(name));
  }
  if (key.empty()) {
    throw inputError("{}: is a .npz: name an array of it, as {}#key; it has {}", path, path,
                     joined(keys));
  }
  throw inputError("{}: has no array '{}'; it has {}", path, key, joined(keys));
}

std::vector<std::string> npzKeys(const std::string& path) {
  const Archive opened = openArchive(path);
  std::vector<std::string> keys;
  for (std::string name; nextMember(path, opened.get(), name);) keys.push_back(keyOf(name));
  return keys;
}

}  // namespace simaqat
