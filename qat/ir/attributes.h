// Attributes of operators: typed structs, each with one list of its fields.
//
// An operator's file writes
//
//   struct SoftmaxAttributes {
//     int64_t axis = -1;
//     template <class Self, class Visitor>
//     static void fields(Self& self, Visitor& visit) { visit("axis", self.axis); }
//   };
//
// and parsing, writing, printing, comparing and copying follow from that list. A field's initial
// value is its default; `visit.required("to", self.to)` marks one without a default, and a field
// of type std::optional has none when absent.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <typeinfo>
#include <variant>
#include <vector>

#include "qat/base/tensor.h"

namespace simaqat {

// The untyped form, as files hold it.
using AttributeValue = std::variant<int64_t, float, std::string, std::vector<int64_t>,
                                    std::vector<float>, std::vector<std::string>, Tensor>;
using AttributeMap = std::map<std::string, AttributeValue>;

std::string attributeToString(const AttributeValue& value);
bool attributesEqual(const AttributeValue& a, const AttributeValue& b);

class Attributes {
 public:
  virtual ~Attributes() = default;
  virtual std::unique_ptr<Attributes> clone() const = 0;
  // Reads all of `map`; throws an Error for an unknown name, a wrong type or a missing one.
  virtual void parse(const AttributeMap& map) = 0;
  // Without the fields that have their default value.
  virtual AttributeMap toMap() const = 0;
  virtual const std::type_info& type() const = 0;
  virtual void* data() = 0;
};

struct NoAttributes {
  template <class Self, class Visitor>
  static void fields(Self&, Visitor&) {}
};

namespace internal {

[[noreturn]] void failAttributeType(const std::string& name, const AttributeValue& value);

class AttributeParser {
 public:
  explicit AttributeParser(const AttributeMap& map) : map_(map) {}

  template <class T>
  void operator()(const char* name, T& field) {
    read(name, field);
  }
  template <class T>
  void required(const char* name, T& field) {
    if (!read(name, field)) throw inputError("attribute '{}' is missing", name);
  }
  // An Error where the map holds a name that no field took.
  void finish() const;

 private:
  template <class T>
  bool read(const char* name, T& field) {
    names_.push_back(name);
    auto it = map_.find(name);
    if (it == map_.end()) return false;
    assign(name, it->second, field);
    return true;
  }
  template <class T>
  void assign(const char* name, const AttributeValue& value, T& field) {
    if (const T* typed = std::get_if<T>(&value)) {
      field = *typed;
    } else {
      failAttributeType(name, value);
    }
  }
  void assign(const char* name, const AttributeValue& value, bool& field) {
    int64_t number = 0;
    assign(name, value, number);
    field = number != 0;
  }
  template <class T>
  void assign(const char* name, const AttributeValue& value, std::optional<T>& field) {
    assign(name, value, field.emplace());
  }

  const AttributeMap& map_;
  std::vector<std::string> names_;
};

// Fills a map with the fields of one struct that differ from those of another.
class AttributeWriter {
 public:
  template <class T>
  void operator()(const char* name, const T& field) {
    put(name, field);
  }
  template <class T>
  void required(const char* name, const T& field) {
    put(name, field);
    required_.push_back(name);
  }
  AttributeMap without(const AttributeWriter& defaults) const;

 private:
  template <class T>
  void put(const char* name, const T& field) {
    if constexpr (std::is_same_v<T, bool>) {
      insert(name, int64_t{field});
    } else {
      insert(name, field);
    }
  }
  template <class T>
  void put(const char* name, const std::optional<T>& field) {
    if (field) put(name, *field);
  }
  void insert(const char* name, AttributeValue value);

  AttributeMap map_;
  std::vector<std::string> required_;
};

}  // namespace internal

template <class S>
class TypedAttributes final : public Attributes {
 public:
  TypedAttributes() = default;
  explicit TypedAttributes(S s) : value(std::move(s)) {}

  std::unique_ptr<Attributes> clone() const override {
    return std::make_unique<TypedAttributes>(value);
  }
  void parse(const AttributeMap& map) override {
    internal::AttributeParser parser(map);
    S::fields(value, parser);
    parser.finish();
  }
  AttributeMap toMap() const override {
    internal::AttributeWriter own;
    S::fields(value, own);
    const S initial{};
    internal::AttributeWriter defaults;
    S::fields(initial, defaults);
    return own.without(defaults);
  }
  const std::type_info& type() const override { return typeid(S); }
  void* data() override { return &value; }

  S value;
};

template <class S>
std::unique_ptr<Attributes> makeAttributes() {
  return std::make_unique<TypedAttributes<S>>();
}

// makeAttributes<NoAttributes>, compiled once.
std::unique_ptr<Attributes> makeNoAttributes();

// The base pointer itself, so that overloads that take one are chosen.
template <class S>
std::unique_ptr<Attributes> wrapAttributes(S value) {
  return std::make_unique<TypedAttributes<S>>(std::move(value));
}

}  // namespace simaqat
