#include "tests/data/files.h"

#include <archive.h>
#include <archive_entry.h>
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
  const auto check = [](bool good) {
    if (!good) throw std::runtime_error("the .npz of the test cannot be written");
  };
  std::string bytes(size_t{1} << 20, '\0');
  size_t used = 0;
  archive* zip = archive_write_new();
  check(archive_write_set_format_zip(zip) == ARCHIVE_OK);
  check(archive_write_set_options(zip, deflated ? "compression=deflate" : "compression=store") ==
        ARCHIVE_OK);
  check(archive_write_open_memory(zip, bytes.data(), bytes.size(), &used) == ARCHIVE_OK);
  for (const auto& [name, content] : members) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    check(archive_write_header(zip, entry) == ARCHIVE_OK);
    check(archive_write_data(zip, content.data(), content.size()) ==
          static_cast<la_ssize_t>(content.size()));
    archive_entry_free(entry);
  }
  check(archive_write_close(zip) == ARCHIVE_OK);
  archive_write_free(zip);
  bytes.resize(used);
  return bytes;
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
