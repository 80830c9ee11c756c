#include "qat/data/array_writer.h"

#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <type_traits>

#include "qat/base/file.h"

namespace simaqat {
namespace {

const char* numpyType(ElementType type) {
  return visitElementType(type, [](auto tag) {
    using T = decltype(tag);
    if constexpr (std::is_same_v<T, bool>) return "|b1";
    if constexpr (std::is_same_v<T, uint8_t>) return "|u1";
    if constexpr (std::is_same_v<T, int8_t>) return "|i1";
    if constexpr (std::is_floating_point_v<T>) return sizeof(T) == 4 ? "<f4" : "<f8";
    constexpr bool is_signed = std::is_signed_v<T>;
    if constexpr (sizeof(T) == 2) return is_signed ? "<i2" : "<u2";
    if constexpr (sizeof(T) == 4) return is_signed ? "<i4" : "<u4";
    return is_signed ? "<i8" : "<u8";
  });
}

// Version 1, padded so that the elements begin at a multiple of 64.
std::string npyHeader(const ArrayHeader& array) {
  std::string dims;
  for (const int64_t dim : array.dims) dims += fmt::format("{}, ", dim);
  // (3,) has its comma, (2, 3) none at the end.
  if (!dims.empty()) dims.resize(dims.size() - (array.dims.size() == 1 ? 1 : 2));
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
                                 numpyType(array.type), dims);
  constexpr size_t kBefore = 10, kAlignment = 64;
  const size_t used = kBefore + text.size() + 1;
  text.append((kAlignment - used % kAlignment) % kAlignment, ' ');
  text += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(text.size() & 0xff);
  header += static_cast<char>(text.size() >> 8);
  return header + text;
}

uint64_t bytesOf(const ArrayHeader& array) {
  return static_cast<uint64_t>(elementCount(array.dims)) * elementSize(array.type);
}

class FolderWriter : public ArrayWriter {
 public:
  FolderWriter(const std::string& folder, const std::vector<ArrayHeader>& arrays) {
    std::error_code code;
    std::filesystem::create_directories(folder, code);
    if (code) throw runtimeError("{}: cannot be made: {}", folder, code.message());
    for (const ArrayHeader& array : arrays) {
      const auto path = std::filesystem::path(folder) / (fileName(array.name) + ".npy");
      files_.push_back(std::make_unique<AtomicFile>(path.string()));
      files_.back()->write(npyHeader(array));
    }
  }

  void append(size_t array, const std::byte* bytes, size_t count) override {
    files_[array]->write({reinterpret_cast<const char*>(bytes), count});
  }
  void finish() override {
    for (const auto& file : files_) file->commit();
  }

 private:
  static std::string fileName(const std::string& name) {
    std::string file;
    for (const char c : name) {
      const bool escapes = c == '/' || c == '%' || c == '\0';
      file += escapes ? fmt::format("%{:02X}", static_cast<unsigned char>(c)) : std::string(1, c);
    }
    return file;
  }

  std::vector<std::unique_ptr<AtomicFile>> files_;
};

// Little-endian numbers of a zip's records.
class Record {
 public:
  Record& u16(uint64_t value) { return number(value, 2); }
  Record& u32(uint64_t value) { return number(value, 4); }
  Record& u64(uint64_t value) { return number(value, 8); }
  Record& text(const std::string& text) {
    bytes_ += text;
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  Record& number(uint64_t value, int size) {
    for (int i = 0; i < size; ++i) bytes_ += static_cast<char>(value >> (8 * i) & 0xff);
    return *this;
  }
  std::string bytes_;
};

// A zip of stored members with 64-bit sizes (PKWARE's APPNOTE, 4.3 and 4.5.3). All sizes are known
// from the start, and so all places: members grow side by side, and their headers, which have the
// checksums, come last.
class NpzWriter : public ArrayWriter {
 public:
  NpzWriter(const std::string& path, const std::vector<ArrayHeader>& arrays) : file_(path) {
    uint64_t at = 0;
    for (const ArrayHeader& array : arrays) {
      Member member;
      member.name = array.name + ".npy";
      const std::string header = npyHeader(array);
      member.size = header.size() + bytesOf(array);
      member.header_at = at;
      member.next = at + localHeader(member).size();
      at = member.next + member.size;
      members_.push_back(member);
      append(members_.size() - 1, reinterpret_cast<const std::byte*>(header.data()), header.size());
    }
    end_ = at;
  }

  void append(size_t array, const std::byte* bytes, size_t count) override {
    Member& member = members_[array];
    // zlib counts in 32 bits.
    for (size_t done = 0; done < count;) {
      const size_t some = std::min<size_t>(count - done, size_t{1} << 30);
      member.crc = ::crc32(member.crc, reinterpret_cast<const Bytef*>(bytes + done),
                           static_cast<uInt>(some));
      done += some;
    }
    file_.writeAt(member.next, {reinterpret_cast<const char*>(bytes), count});
    member.next += count;
  }

  void finish() override {
    uint64_t at = end_;
    for (const Member& member : members_) {
      SIMAQAT_CHECK(member.next == member.header_at + localHeader(member).size() + member.size);
      file_.writeAt(member.header_at, localHeader(member));
      const std::string entry = directoryEntry(member);
      file_.writeAt(at, entry);
      at += entry.size();
    }
    file_.writeAt(at, directoryEnd(at));
    file_.commit();
  }

 private:
  struct Member {
    std::string name;
    uint64_t size = 0;
    uint64_t header_at = 0;
    uint64_t next = 0;  // where its next bytes go
    uLong crc = 0;
  };
  static constexpr uint64_t kVersion = 45, kUtf8 = 1 << 11, kStored = 0, kIn64Bits = 0xffffffff;
  static constexpr uint64_t kDate = 1 << 5 | 1;  // 1980-01-01: the same bytes at any time

  static std::string localHeader(const Member& member) {
    return Record()
        .u32(0x04034b50)
        .u16(kVersion)
        .u16(kUtf8)
        .u16(kStored)
        .u16(0)
        .u16(kDate)
        .u32(member.crc)
        .u32(kIn64Bits)
        .u32(kIn64Bits)
        .u16(member.name.size())
        .u16(20)
        .text(member.name)
        .u16(1)
        .u16(16)
        .u64(member.size)
        .u64(member.size)
        .bytes();
  }
  static std::string directoryEntry(const Member& member) {
    return Record()
        .u32(0x02014b50)
        .u16(kVersion)
        .u16(kVersion)
        .u16(kUtf8)
        .u16(kStored)
        .u16(0)
        .u16(kDate)
        .u32(member.crc)
        .u32(kIn64Bits)
        .u32(kIn64Bits)
        .u16(member.name.size())
        .u16(28)
        .u16(0)
        .u16(0)
        .u16(0)
        .u32(0)
        .u32(kIn64Bits)
        .text(member.name)
        .u16(1)
        .u16(24)
        .u64(member.size)
        .u64(member.size)
        .u64(member.header_at)
        .bytes();
  }
  // Of a directory that begins at end_.
  std::string directoryEnd(uint64_t at) const {
    const uint64_t size = at - end_;
    return Record()
        .u32(0x06064b50)
        .u64(44)
        .u16(kVersion)
        .u16(kVersion)
        .u32(0)
        .u32(0)
        .u64(members_.size())
        .u64(members_.size())
        .u64(size)
        .u64(end_)
        .u32(0x07064b50)
        .u32(0)
        .u64(at)
        .u32(1)
        .u32(0x06054b50)
        .u16(0)
        .u16(0)
        .u16(0xffff)
        .u16(0xffff)
        .u32(kIn64Bits)
        .u32(kIn64Bits)
        .u16(0)
        .bytes();
  }

  AtomicFile file_;
  std::vector<Member> members_;
  uint64_t end_ = 0;  // of the last member
};

}  // namespace

std::unique_ptr<ArrayWriter> openArrayWriter(const std::string& path,
                                             const std::vector<ArrayHeader>& arrays) {
  std::error_code code;
  const bool is_folder =
      (!path.empty() && path.back() == '/') || std::filesystem::is_directory(path, code);
  if (is_folder) return std::make_unique<FolderWriter>(path, arrays);
  return std::make_unique<NpzWriter>(path, arrays);
}

}  // namespace simaqat
