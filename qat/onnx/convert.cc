#include "qat/onnx/convert.h"

#include <cstring>
#include <filesystem>
#include <fstream>

#include "qat/ir/dim_limit.h"

namespace simaqat::onnx_format {
namespace {

namespace fs = std::filesystem;

std::string readExternal(const onnx::TensorProto& proto, const std::string& folder, size_t bytes) {
  std::string location;
  uint64_t offset = 0;
  uint64_t length = bytes;
  for (const auto& entry : proto.external_data()) {
    try {
      if (entry.key() == "location") location = entry.value();
      if (entry.key() == "offset") offset = std::stoull(entry.value());
      if (entry.key() == "length") length = std::stoull(entry.value());
    } catch (const std::logic_error&) {
      throw inputError("tensor '{}': external data {} '{}' is not a number", proto.name(),
                       entry.key(), entry.value());
    }
  }
  const fs::path base = fs::weakly_canonical(folder.empty() ? "." : folder);
  const fs::path path = fs::weakly_canonical(base / location);
  const fs::path inside = path.lexically_relative(base);
  if (location.empty() || fs::path(location).is_absolute() || inside.empty() ||
      *inside.begin() == "..") {
    throw inputError("tensor '{}': external data path '{}' leaves the model's folder", proto.name(),
                     location);
  }
  if (length != bytes) {
    throw inputError("tensor '{}': expected {} bytes of external data, got {}", proto.name(), bytes,
                     length);
  }
  std::error_code code;
  const uint64_t size = fs::file_size(path, code);
  if (code)
    throw inputError("tensor '{}': external data file '{}' is missing", proto.name(), location);
  if (offset > size || length > size - offset) {
    throw inputError("tensor '{}': external data file '{}' has {} bytes, expected {} from {} on",
                     proto.name(), location, size, length, offset);
  }
  std::ifstream stream(path, std::ios::binary);
  stream.seekg(static_cast<std::streamoff>(offset));
  std::string data(length, '\0');
  stream.read(data.data(), static_cast<std::streamsize>(length));
  if (!stream) throw inputError("tensor '{}': '{}' cannot be read", proto.name(), location);
  return data;
}

ElementType elementOf(const onnx::TensorProto& proto) {
  const auto type = static_cast<ElementType>(proto.data_type());
  if (elementSize(type) == 0) {
    throw inputError("tensor '{}': element type {} is not supported", proto.name(),
                     elementTypeName(type));
  }
  return type;
}

template <class List>
void copyList(const onnx::TensorProto& proto, const List& list, Tensor& tensor) {
  if (list.size() != tensor.size()) {
    throw inputError("tensor '{}': expected {} elements, got {}", proto.name(), tensor.size(),
                     list.size());
  }
  visitElementType(tensor.type(), [&](auto tag) {
    using T = decltype(tag);
    T* data = tensor.mutableData<T>();
    for (int i = 0; i < list.size(); ++i) data[i] = static_cast<T>(list.Get(i));
  });
}

float fromHalf(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const int exponent = (bits >> 10) & 31;
  const uint32_t mantissa = bits & 1023u;
  float magnitude;
  if (exponent == 31) {
    const uint32_t pattern = 0x7F800000u | (mantissa << 13);
    std::memcpy(&magnitude, &pattern, 4);
  } else if (exponent == 0) {
    magnitude = static_cast<float>(mantissa) * 0x1p-24f;
  } else {
    const uint32_t pattern = (static_cast<uint32_t>(exponent + 112) << 23) | (mantissa << 13);
    std::memcpy(&magnitude, &pattern, 4);
  }
  return sign != 0 ? -magnitude : magnitude;
}

float fromBfloat(uint16_t bits) {
  const uint32_t pattern = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &pattern, 4);
  return value;
}

// 16-bit floats become float32: the executor computes in no other width.
Tensor widen(const onnx::TensorProto& proto, const std::string& raw, ElementType type,
             std::vector<int64_t> dims) {
  Tensor tensor(ElementType::kFloat, std::move(dims));
  float* data = tensor.mutableData<float>();
  const auto convert = type == ElementType::kFloat16 ? fromHalf : fromBfloat;
  const bool listed = raw.empty() && proto.int32_data_size() == tensor.size();
  if (!listed && raw.size() != static_cast<size_t>(tensor.size()) * 2) {
    throw inputError("tensor '{}': expected {} elements", proto.name(), tensor.size());
  }
  for (int64_t i = 0; i < tensor.size(); ++i) {
    uint16_t bits = 0;
    if (listed) {
      bits = static_cast<uint16_t>(proto.int32_data(static_cast<int>(i)));
    } else {
      std::memcpy(&bits, raw.data() + 2 * i, 2);
    }
    data[i] = convert(bits);
  }
  return tensor;
}

bool isFourBits(ElementType type) { return storageType(type) != type; }

// Bytes of `count` elements in a file, which packs two of four bits into one, the first one low.
size_t bytesInFile(const onnx::TensorProto& proto, ElementType type, int64_t count) {
  size_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<size_t>(count), elementSize(type), &bytes)) {
    throw inputError("tensor '{}': {} elements are too many", proto.name(), count);
  }
  return isFourBits(type) ? bytes / 2 + bytes % 2 : bytes;
}

void unpack(const char* packed, Tensor& tensor) {
  auto* codes = reinterpret_cast<uint8_t*>(tensor.mutableRawData());
  const bool is_signed = tensor.type() == ElementType::kInt4;
  for (int64_t i = 0; i < tensor.size(); ++i) {
    const auto byte = static_cast<uint8_t>(packed[i / 2]);
    const uint8_t code = i % 2 == 0 ? byte & 15 : byte >> 4;
    codes[i] = is_signed && code >= 8 ? static_cast<uint8_t>(code | 0xF0) : code;
  }
}

std::string packed(const Tensor& tensor) {
  const auto* codes = reinterpret_cast<const uint8_t*>(tensor.rawData());
  std::string bytes(static_cast<size_t>((tensor.size() + 1) / 2), '\0');
  for (int64_t i = 0; i < tensor.size(); ++i) {
    const int code = codes[i] & 15;
    char& byte = bytes[static_cast<size_t>(i / 2)];
    byte = static_cast<char>(byte | (i % 2 == 0 ? code : code << 4));
  }
  return bytes;
}

}  // namespace

Tensor toTensor(const onnx::TensorProto& proto, const std::string& folder) {
  const ElementType type = elementOf(proto);
  std::vector<int64_t> dims(proto.dims().begin(), proto.dims().end());
  const bool external = proto.data_location() == onnx::TensorProto::EXTERNAL;
  const int64_t count = elementCount(dims);
  const size_t bytes = bytesInFile(proto, type, count);
  // What the file holds is checked before anything of the stated size is allocated.
  std::string data;
  if (external) data = readExternal(proto, folder, bytes);
  const std::string& raw = external ? data : proto.raw_data();
  if (type == ElementType::kFloat16 || type == ElementType::kBfloat16) {
    return widen(proto, raw, type, std::move(dims));
  }
  const int64_t listed =
      std::max({proto.float_data_size(), proto.double_data_size(), proto.int32_data_size(),
                proto.int64_data_size(), proto.uint64_data_size()});
  // Lists hold four bits as raw data does, two to a number.
  const int64_t expected = isFourBits(type) ? static_cast<int64_t>(bytes) : count;
  if (raw.empty() ? listed != expected : raw.size() != bytes) {
    throw inputError("tensor '{}': dimensions {} ask for {} elements, the file holds {}",
                     proto.name(), dimsToString(dims), count,
                     raw.empty() ? listed : static_cast<int64_t>(raw.size() / elementSize(type)));
  }
  Tensor tensor(type, std::move(dims));
  if (isFourBits(type)) {
    std::string list;
    for (int32_t byte : proto.int32_data()) list += static_cast<char>(byte);
    unpack(raw.empty() ? list.data() : raw.data(), tensor);
  } else if (!raw.empty()) {
    std::memcpy(tensor.mutableRawData(), raw.data(), bytes);
  } else if (count > 0) {
    switch (type) {
      case ElementType::kFloat:
        copyList(proto, proto.float_data(), tensor);
        break;
      case ElementType::kDouble:
        copyList(proto, proto.double_data(), tensor);
        break;
      case ElementType::kInt64:
        copyList(proto, proto.int64_data(), tensor);
        break;
      case ElementType::kUint32:
      case ElementType::kUint64:
        copyList(proto, proto.uint64_data(), tensor);
        break;
      default:
        copyList(proto, proto.int32_data(), tensor);
    }
  }
  return tensor;
}

onnx::TensorProto fromTensor(const std::string& name, const Tensor& tensor) {
  onnx::TensorProto proto;
  proto.set_name(name);
  proto.set_data_type(static_cast<int>(tensor.type()));
  for (int64_t dim : tensor.dims()) proto.add_dims(dim);
  if (isFourBits(tensor.type())) {
    proto.set_raw_data(packed(tensor));
  } else {
    proto.set_raw_data(tensor.rawData(), tensor.bytes());
  }
  return proto;
}

AttributeMap toAttributes(const onnx::NodeProto& node, const std::string& folder) {
  AttributeMap map;
  for (const onnx::AttributeProto& a : node.attribute()) {
    AttributeValue value;
    switch (a.type()) {
      case onnx::AttributeProto::INT:
        value = static_cast<int64_t>(a.i());
        break;
      case onnx::AttributeProto::FLOAT:
        value = a.f();
        break;
      case onnx::AttributeProto::STRING:
        value = a.s();
        break;
      case onnx::AttributeProto::INTS:
        value = std::vector<int64_t>(a.ints().begin(), a.ints().end());
        break;
      case onnx::AttributeProto::FLOATS:
        value = std::vector<float>(a.floats().begin(), a.floats().end());
        break;
      case onnx::AttributeProto::STRINGS:
        value = std::vector<std::string>(a.strings().begin(), a.strings().end());
        break;
      case onnx::AttributeProto::TENSOR:
        value = toTensor(a.t(), folder);
        break;
      default:
        throw inputError("attribute '{}' has a type that is not supported", a.name());
    }
    map[a.name()] = std::move(value);
  }
  return map;
}

void fromAttributes(const AttributeMap& attributes, onnx::NodeProto& node) {
  for (const auto& [name, value] : attributes) {
    onnx::AttributeProto* a = node.add_attribute();
    a->set_name(name);
    std::visit(
        [&](const auto& v) {
          using T = std::decay_t<decltype(v)>;
          if constexpr (std::is_same_v<T, int64_t>) {
            a->set_type(onnx::AttributeProto::INT);
            a->set_i(v);
          } else if constexpr (std::is_same_v<T, float>) {
            a->set_type(onnx::AttributeProto::FLOAT);
            a->set_f(v);
          } else if constexpr (std::is_same_v<T, std::string>) {
            a->set_type(onnx::AttributeProto::STRING);
            a->set_s(v);
          } else if constexpr (std::is_same_v<T, std::vector<int64_t>>) {
            a->set_type(onnx::AttributeProto::INTS);
            for (int64_t i : v) a->add_ints(i);
          } else if constexpr (std::is_same_v<T, std::vector<float>>) {
            a->set_type(onnx::AttributeProto::FLOATS);
            for (float f : v) a->add_floats(f);
          } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
            a->set_type(onnx::AttributeProto::STRINGS);
            for (const std::string& s : v) a->add_strings(s);
          } else {
            a->set_type(onnx::AttributeProto::TENSOR);
            *a->mutable_t() = fromTensor(name, v);
          }
        },
        value);
  }
}

TensorType toType(const onnx::ValueInfoProto& info) {
  if (!info.type().has_tensor_type()) {
    throw inputError("value '{}': only tensors are supported", info.name());
  }
  const auto& tensor = info.type().tensor_type();
  auto element = static_cast<ElementType>(tensor.elem_type());
  // As `widen` makes of tensors.
  if (element == ElementType::kFloat16 || element == ElementType::kBfloat16) {
    element = ElementType::kFloat;
  }
  TensorType type{element, std::nullopt};
  if (tensor.has_shape()) {
    Shape shape;
    for (const auto& dim : tensor.shape().dim()) {
      if (dim.has_dim_value() && !isPossibleDim(dim.dim_value())) {
        throw inputError("value '{}': dimension {} is not valid", info.name(), dim.dim_value());
      }
      shape.push_back(dim.has_dim_value() ? Dim(dim.dim_value()) : Dim::named(dim.dim_param()));
    }
    type.shape = std::move(shape);
  }
  return type;
}

onnx::ValueInfoProto fromType(const std::string& name, const TensorType& type) {
  onnx::ValueInfoProto info;
  info.set_name(name);
  auto* tensor = info.mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(static_cast<int>(type.element));
  if (type.shape) {
    auto* shape = tensor->mutable_shape();
    for (const Dim& dim : *type.shape) {
      auto* to = shape->add_dim();
      if (dim.known()) {
        to->set_dim_value(dim.value);
      } else if (!dim.symbol.empty()) {
        to->set_dim_param(dim.symbol);
      }
    }
  }
  return info;
}

}  // namespace simaqat::onnx_format
