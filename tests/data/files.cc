#include "tests/data/files.h"

#include <archive.h>
#include <archive_entry.h>
#include <turbojpeg.h>
#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include "qat/base/error.h"

namespace simaqat {
namespace {

std::string descrOf(ElementType type) {
  switch (type) {
    case ElementType::kBool:
      return "|b1";
    case ElementType::kUint8:
      return "|u1";
    case ElementType::kInt8:
      return "|i1";
    case ElementType::kUint16:
      return "<u2";
    case ElementType::kInt16:
      return "<i2";
    case ElementType::kUint32:
      return "<u4";
    case ElementType::kInt32:
      return "<i4";
    case ElementType::kUint64:
      return "<u8";
    case ElementType::kInt64:
      return "<i8";
    case ElementType::kFloat:
      return "<f4";
    default:
      return "<f8";
  }
}

std::string littleEndian(size_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i) & 255);
  return text;
}

std::string dataOf(const Tensor& tensor) {
  return std::string(reinterpret_cast<const char*>(tensor.rawData()), tensor.bytes());
}

void check(int status) {
  if (status != ARCHIVE_OK) throw std::runtime_error("the test's archive cannot be written");
}

// What the archive is with these members; frees it.
std::string archived(archive* opened,
                     const std::vector<std::pair<std::string, std::string>>& members) {
  std::string bytes(size_t{1} << 20, '\0');
  size_t used = 0;
  check(archive_write_open_memory(opened, bytes.data(), bytes.size(), &used));
  for (const auto& [name, content] : members) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    check(archive_write_header(opened, entry));
    const la_ssize_t written = archive_write_data(opened, content.data(), content.size());
    check(written == static_cast<la_ssize_t>(content.size()) ? ARCHIVE_OK : ARCHIVE_FATAL);
    archive_entry_free(entry);
  }
  check(archive_write_close(opened));
  archive_write_free(opened);
  bytes.resize(used);
  return bytes;
}

}  // namespace

std::string writeTestFile(const std::string& name, const std::string& bytes) {
  const std::string path = std::string(std::getenv("TEST_TMPDIR")) + "/" + name;
  // Not our own atomic write, which waits for the disk: the fuzz tests write thousands.
  std::ofstream stream(path, std::ios::binary);
  stream << bytes;
  if (!stream.flush()) throw std::runtime_error(path + " cannot be written");
  return path;
}

std::string npyBytes(const Tensor& tensor, int version) {
  std::string shape;
  for (int64_t dim : tensor.dims()) shape += std::to_string(dim) + ", ";
  const std::string header = "{'descr': '" + descrOf(tensor.type()) +
                             "', 'fortran_order': False, 'shape': (" + shape + "), }\n";
  return "\x93NUMPY" + std::string(1, static_cast<char>(version)) + std::string(1, '\0') +
         littleEndian(header.size(), version == 1 ? 2 : 4) + header + dataOf(tensor);
}

std::string npyWithHeader(const std::string& header, const std::string& data) {
  return "\x93NUMPY\x01" + std::string(1, '\0') + littleEndian(header.size(), 2) + header + data;
}

std::string idxBytes(const Tensor& tensor) {
  const std::map<ElementType, char> codes = {
      {ElementType::kUint8, 0x08}, {ElementType::kInt8, 0x09},  {ElementType::kInt16, 0x0B},
      {ElementType::kInt32, 0x0C}, {ElementType::kFloat, 0x0D}, {ElementType::kDouble, 0x0E}};
  std::string bytes(2, '\0');
  bytes += codes.at(tensor.type());
  bytes += static_cast<char>(tensor.dims().size());
  for (int64_t dim : tensor.dims()) {
    std::string big = littleEndian(static_cast<size_t>(dim), 4);
    std::reverse(big.begin(), big.end());
    bytes += big;
  }
  std::string data = dataOf(tensor);
  const auto size = static_cast<std::ptrdiff_t>(elementSize(tensor.type()));
  for (auto at = data.begin(); at != data.end(); at += size) std::reverse(at, at + size);
  return bytes + data;
}

std::string npzBytes(const std::map<std::string, std::string>& members, bool deflated) {
  archive* zip = archive_write_new();
  check(archive_write_set_format_zip(zip));
  check(archive_write_set_options(zip, deflated ? "compression=deflate" : "compression=store"));
  return archived(zip, {members.begin(), members.end()});
}

std::string tarBytes(const std::vector<std::pair<std::string, std::string>>& members) {
  archive* tar = archive_write_new();
  check(archive_write_set_format_ustar(tar));
  // Without padding behind the two blocks of zeros at the end.
  check(archive_write_set_bytes_per_block(tar, 512));
  return archived(tar, members);
}

std::string jpegBytes(const Tensor& pixels) {
  const bool is_gray = pixels.dims()[2] == 1;
  tjhandle encoder = tjInitCompress();
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  const int status = tjCompress2(
      encoder, pixels.data<uint8_t>(), static_cast<int>(pixels.dims()[1]), 0,
      static_cast<int>(pixels.dims()[0]), is_gray ? TJPF_GRAY : TJPF_RGB, &bytes, &size,
      is_gray ? TJSAMP_GRAY : TJSAMP_444, 100, TJFLAG_ACCURATEDCT);
  if (status != 0) throw std::runtime_error(tjGetErrorStr2(encoder));
  const std::string result(reinterpret_cast<const char*>(bytes), size);
  tjFree(bytes);
  tjDestroy(encoder);
  return result;
}

std::string gzipped(const std::string& bytes) {
  z_stream stream = {};
  constexpr int kWindowBitsForGzip = 15 + 16;
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kWindowBitsForGzip, 8,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::runtime_error("zlib does not start");
  }
  std::string result(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(result.data());
  stream.avail_out = static_cast<uInt>(result.size());
  deflate(&stream, Z_FINISH);
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}

std::string inputErrorOf(const std::function<void()>& function) {
  try {
    function();
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kInput) return error.what();
    throw;
  }
  throw std::runtime_error("no error was thrown");
}

}  // namespace simaqat
