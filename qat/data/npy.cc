#include "qat/data/npy.h"

#include <map>
#include <string_view>

namespace simaqat {
namespace {

struct NpyHeader {
  ElementType type = ElementType::kUndefined;
  bool fortran_order = false;
  std::vector<int64_t> dims;
};

// Reads {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }: as much of Python's literals
// as numpy writes there.
class HeaderParser {
 public:
  HeaderParser(const std::string& file, std::string_view text) : file_(file), rest_(text) {}

  NpyHeader parse() {
    NpyHeader header;
    bool has_descr = false, has_order = false, has_shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string key = string();
      expect(':');
      if (key == "descr" && !has_descr) {
        has_descr = true;
        header.type = elementType();
      } else if (key == "fortran_order" && !has_order) {
        has_order = true;
        header.fortran_order = boolean();
      } else if (key == "shape" && !has_shape) {
        has_shape = true;
        header.dims = tuple();
      } else {
        throw damaged();
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skipBlanks();
    if (!has_descr || !has_order || !has_shape || !rest_.empty()) throw damaged();
    return header;
  }

 private:
  Error damaged() const { return inputError("{}: its .npy header is damaged", file_); }

  void skipBlanks() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\n')) rest_.remove_prefix(1);
  }
  bool accept(std::string_view token) {
    skipBlanks();
    if (rest_.substr(0, token.size()) != token) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  bool accept(char token) { return accept(std::string_view(&token, 1)); }
  void expect(char token) {
    if (!accept(token)) throw damaged();
  }

  std::string string() {
    const char quote = accept('\'') ? '\'' : '"';
    if (quote == '"') expect('"');
    const size_t end = rest_.find(quote);
    if (end == std::string_view::npos) throw damaged();
    const std::string text(rest_.substr(0, end));
    rest_.remove_prefix(end + 1);
    return text;
  }

  bool boolean() {
    if (accept("True")) return true;
    if (accept("False")) return false;
    throw damaged();
  }

  int64_t integer() {
    skipBlanks();
    int64_t value = 0;
    size_t digits = 0;
    for (; digits < rest_.size() && rest_[digits] >= '0' && rest_[digits] <= '9'; ++digits) {
      if (__builtin_mul_overflow(value, 10, &value) ||
          __builtin_add_overflow(value, rest_[digits] - '0', &value)) {
        throw damaged();
      }
    }
    if (digits == 0) throw damaged();
    rest_.remove_prefix(digits);
    accept('L');  // Python 2 wrote it
    return value;
  }

  std::vector<int64_t> tuple() {
    std::vector<int64_t> values;
    expect('(');
    while (!accept(')')) {
      values.push_back(integer());
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return values;
  }

  ElementType elementType() {
    static const auto& types = *new std::map<std::string, ElementType>{
        {"|b1", ElementType::kBool},   {"|u1", ElementType::kUint8},  {"|i1", ElementType::kInt8},
        {"<u2", ElementType::kUint16}, {"<i2", ElementType::kInt16},  {"<u4", ElementType::kUint32},
        {"<i4", ElementType::kInt32},  {"<u8", ElementType::kUint64}, {"<i8", ElementType::kInt64},
        {"<f4", ElementType::kFloat},  {"<f8", ElementType::kDouble}};
    skipBlanks();
    if (!rest_.empty() && rest_[0] == '[') {
      throw inputError("{}: holds records, not an array of numbers", file_);
    }
    const std::string descr = string();
    const auto found = types.find(descr);
    if (found == types.end()) {
      throw inputError("{}: holds elements of type '{}', which is not supported", file_, descr);
    }
    return found->second;
  }

  const std::string& file_;
  std::string_view rest_;
};

void checkBools(const Tensor& tensor, const std::string& name) {
  const std::byte* bytes = tensor.rawData();
  for (int64_t i = 0; i < tensor.size(); ++i) {
    if (bytes[i] > std::byte{1}) {
      throw inputError("{}: element {} is {}, not a bool", name, i, static_cast<int>(bytes[i]));
    }
  }
}

}  // namespace

Tensor readNpy(ByteStream& stream) {
  const std::string magic = readHeader(stream, 8);
  if (magic.compare(0, 6, "\x93NUMPY") != 0) throw inputError("{}: is not .npy", stream.name());
  const int version = static_cast<uint8_t>(magic[6]);
  if (version < 1 || version > 3) {
    throw inputError("{}: .npy version {} is not known", stream.name(), version);
  }
  const std::string length = readHeader(stream, version == 1 ? 2 : 4);
  size_t bytes = 0;
  for (size_t i = length.size(); i-- > 0;) bytes = bytes << 8 | static_cast<uint8_t>(length[i]);
  // Version 1 cannot say more, and an array of numbers needs far less.
  if (bytes > 65535) {
    throw inputError("{}: its .npy header claims {} bytes", stream.name(), bytes);
  }
  const std::string text = readHeader(stream, bytes);
  NpyHeader header = HeaderParser(stream.name(), text).parse();
  if (header.fortran_order && header.dims.size() > 1) {
    throw inputError("{}: is in Fortran order; save it with numpy.ascontiguousarray",
                     stream.name());
  }
  Tensor tensor = readElements(stream, header.type, std::move(header.dims));
  if (header.type == ElementType::kBool) checkBools(tensor, stream.name());
  return tensor;
}

}  // namespace simaqat
