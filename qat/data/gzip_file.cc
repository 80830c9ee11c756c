#include <sys/stat.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "qat/data/byte_stream.h"

namespace simaqat {
namespace {

// zlib reads a file that is not gzipped as it is.
class GzipFile : public ByteStream {
 public:
  explicit GzipFile(const std::string& path) : ByteStream(path) {
    struct stat status;
    if (::stat(path.c_str(), &status) == 0) {
      if (S_ISDIR(status.st_mode)) throw inputError("{}: is a folder, not a file", path);
      file_bytes_ = static_cast<uint64_t>(status.st_size);
    }
    errno = 0;
    file_ = gzopen(path.c_str(), "rb");
    if (file_ == nullptr) {
      throw inputError("{}: cannot be opened: {}", path, std::strerror(errno ? errno : ENOMEM));
    }
    gzbuffer(file_, 1u << 18);
    plain_ = gzdirect(file_) != 0;
  }
  ~GzipFile() override { gzclose(file_); }

  size_t read(std::byte* to, size_t bytes) override {
    constexpr size_t kMostAtOnce = size_t{1} << 30;
    size_t done = 0;
    while (done < bytes) {
      const auto step = static_cast<unsigned>(std::min(bytes - done, kMostAtOnce));
      const int got = gzread(file_, to + done, step);
      // A truncated stream gives what it has and then tells so.
      int code = Z_OK;
      const char* reason = gzerror(file_, &code);
      if (got < 0 || (code != Z_OK && code != Z_STREAM_END)) {
        if (code == Z_BUF_ERROR) throw inputError("{}: is truncated gzip data", name());
        throw inputError("{}: cannot be read: {}", name(),
                         code == Z_ERRNO ? std::strerror(errno) : reason);
      }
      if (got == 0) break;
      done += static_cast<size_t>(got);
    }
    position_ += done;
    return done;
  }

  std::optional<uint64_t> remaining() const override {
    if (!plain_) return std::nullopt;
    return file_bytes_ > position_ ? file_bytes_ - position_ : 0;
  }

 private:
  gzFile file_ = nullptr;
  bool plain_ = false;
  uint64_t file_bytes_ = 0;
  uint64_t position_ = 0;
};

}  // namespace

std::unique_ptr<ByteStream> openFile(const std::string& path) {
  return std::make_unique<GzipFile>(path);
}

}  // namespace simaqat
