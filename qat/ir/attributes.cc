#include "qat/ir/attributes.h"

#include <fmt/format.h>

#include <algorithm>

#include "qat/base/text.h"

namespace simaqat {
namespace {

const char* kindName(const AttributeValue& value) {
  static const char* const kNames[] = {"an integer",         "a float",          "a string",
                                       "a list of integers", "a list of floats", "a list of strings",
                                       "a tensor"};
  return kNames[value.index()];
}

std::string quoted(const std::string& text) { return "\"" + text + "\""; }

}  // namespace

std::string attributeToString(const AttributeValue& value) {
  return std::visit(
      [](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::string>) {
          return quoted(v);
        } else if constexpr (std::is_same_v<T, Tensor>) {
          return elementTypeName(v.type()) + dimsToString(v.dims());
        } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
          std::vector<std::string> parts;
          for (const std::string& s : v) parts.push_back(quoted(s));
          return fmt::format("[{}]", joined(parts));
        } else if constexpr (std::is_same_v<T, float>) {
          const std::string text = fmt::format("{}", v);
          return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
        } else if constexpr (std::is_same_v<T, int64_t>) {
          return std::to_string(v);
        } else {
          return fmt::format("[{}]", fmt::join(v, ", "));
        }
      },
      value);
}

bool attributesEqual(const AttributeValue& a, const AttributeValue& b) {
  if (a.index() != b.index()) return false;
  return std::visit(
      [&](const auto& v) {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, Tensor>) {
          return v.identical(std::get<Tensor>(b));
        } else {
          return v == std::get<T>(b);
        }
      },
      a);
}

namespace internal {

void failAttributeType(const std::string& name, const AttributeValue& value) {
  throw inputError("attribute '{}' has the wrong type ({})", name, kindName(value));
}

void AttributeParser::finish() const {
  for (const auto& [name, value] : map_) {
    if (std::find(names_.begin(), names_.end(), name) == names_.end()) {
      throw inputError("attribute '{}' is not known", name);
    }
  }
}

void AttributeWriter::insert(const char* name, AttributeValue value) {
  map_.insert_or_assign(name, std::move(value));
}

AttributeMap AttributeWriter::without(const AttributeWriter& defaults) const {
  AttributeMap result;
  for (const auto& [name, value] : map_) {
    const auto it = defaults.map_.find(name);
    const bool is_required =
        std::find(required_.begin(), required_.end(), name) != required_.end();
    if (is_required || it == defaults.map_.end() || !attributesEqual(value, it->second)) {
      result.emplace(name, value);
    }
  }
  return result;
}

}  // namespace internal
std::unique_ptr<Attributes> makeNoAttributes() { return makeAttributes<NoAttributes>(); }

}  // namespace simaqat
