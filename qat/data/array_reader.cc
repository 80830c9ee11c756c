#include "qat/data/array_reader.h"

#include <filesystem>
#include <string_view>
#include <utility>

#include "qat/data/byte_stream.h"
#include "qat/data/idx.h"
#include "qat/data/npy.h"
#include "qat/data/npz.h"

namespace simaqat {
namespace {

// The file and, behind its last '#', the key; a file whose own name has a '#' is taken as it is.
std::pair<std::string, std::string> splitKey(const std::string& path) {
  const size_t mark = path.rfind('#');
  std::error_code code;
  if (mark == std::string::npos || std::filesystem::exists(path, code)) return {path, ""};
  return {path.substr(0, mark), path.substr(mark + 1)};
}

bool startsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

}  // namespace

Tensor readArray(const std::string& path) {
  const auto [file, key] = splitKey(path);
  std::string beginning(6, '\0');
  beginning.resize(
      openFile(file)->read(reinterpret_cast<std::byte*>(beginning.data()), beginning.size()));

  if (startsWith(beginning, "PK\x03\x04") || startsWith(beginning, "PK\x05\x06")) {
    return readNpz(file, key);
  }
  if (!key.empty())
    throw inputError("{}: '#{}' names an array of a .npz, which {} is not", path, key, file);
  const std::unique_ptr<ByteStream> stream = openFile(file);
  if (startsWith(beginning, "\x93NUMPY")) return readNpy(*stream);
  if (looksLikeIdx(beginning)) return readIdx(*stream);
  throw inputError("{}: is neither .npy, .npz nor IDX", file);
}

}  // namespace simaqat
