#include "qat/ir/parser.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <sstream>

#include "qat/ir/op.h"

namespace simaqat {
namespace {

constexpr VariableRole kRoles[] = {VariableRole::kWeight, VariableRole::kBatchNormStatistic,
                                   VariableRole::kObserverRange, VariableRole::kQuantizerScale,
                                   VariableRole::kMomentum};

constexpr ElementType kElementTypes[] = {
    ElementType::kFloat, ElementType::kDouble, ElementType::kBool,   ElementType::kUint8,
    ElementType::kInt8,  ElementType::kUint16, ElementType::kInt16,  ElementType::kInt32,
    ElementType::kInt64, ElementType::kUint32, ElementType::kUint64, ElementType::kUint4,
    ElementType::kInt4,  ElementType::kBit};

// The words of one line.
class Scanner {
 public:
  explicit Scanner(const std::string& line) : line_(line) { skipSpaces(); }

  bool atEnd() const { return at_ == line_.size(); }
  char peek() const { return atEnd() ? '\0' : line_[at_]; }

  bool take(const std::string& word) {
    if (line_.compare(at_, word.size(), word) != 0) return false;
    at_ += word.size();
    skipSpaces();
    return true;
  }
  void expect(const std::string& word) {
    if (!take(word)) fail("'" + word + "'");
  }
  [[noreturn]] void fail(const std::string& expected) const {
    throw inputError("expected {}, got '{}'", expected,
                     atEnd() ? "the end of the line" : line_.substr(at_));
  }

  // Characters up to a space or one of `ends`.
  std::string word(const char* ends, const char* what) {
    const size_t end = std::min(line_.find_first_of(std::string(" \t") + ends, at_), line_.size());
    const std::string result = line_.substr(at_, end - at_);
    if (result.empty()) fail(what);
    at_ = end;
    skipSpaces();
    return result;
  }
  // Up to one of `ends`, spaces included.
  std::string phrase(const char* ends, const char* what) {
    const size_t end = std::min(line_.find_first_of(ends, at_), line_.size());
    const std::string result = line_.substr(at_, end - at_);
    if (result.empty()) fail(what);
    at_ = end;
    return result;
  }
  std::string quotedText() {
    std::string result;
    size_t i = at_ + 1;
    if (peek() != '"') fail("text in quotes");
    for (; i < line_.size() && line_[i] != '"'; ++i) {
      if (line_[i] == '\\' && i + 1 < line_.size()) ++i;
      const bool is_break = line_[i] == 'n' && line_[i - 1] == '\\';
      result += is_break ? '\n' : line_[i];
    }
    if (i == line_.size()) fail("text in quotes");
    at_ = i + 1;
    skipSpaces();
    return result;
  }
  std::string name() { return peek() == '"' ? quotedText() : word(",()=\"", "a name"); }
  std::string valueName() {
    if (peek() != '%') fail("a value (%name)");
    ++at_;
    return name();
  }

 private:
  void skipSpaces() {
    while (!atEnd() && (line_[at_] == ' ' || line_[at_] == '\t')) ++at_;
  }

  const std::string& line_;
  size_t at_ = 0;
};

// ---- Numbers, types, tensors ---------------------------------------------------------------

template <class T>
T toNumber(const std::string& text) {
  char* end = nullptr;
  errno = 0;
  T number{};
  bool fits = true;
  if constexpr (std::is_same_v<T, float>) {
    number = std::strtof(text.c_str(), &end);
  } else if constexpr (std::is_same_v<T, double>) {
    number = std::strtod(text.c_str(), &end);
  } else if constexpr (std::is_same_v<T, uint64_t>) {
    // Printed as int64_t, so that the upper half is negative.
    number = text[0] == '-' ? static_cast<T>(std::strtoll(text.c_str(), &end, 10))
                            : std::strtoull(text.c_str(), &end, 10);
    fits = errno == 0;
  } else {
    const long long wide = std::strtoll(text.c_str(), &end, 10);
    number = static_cast<T>(wide);
    fits = errno == 0 && static_cast<long long>(number) == wide;
  }
  if (text.empty() || *end != '\0' || !fits) throw inputError("'{}' is not a number", text);
  return number;
}

ElementType parseElement(const std::string& name) {
  for (ElementType type : kElementTypes) {
    if (elementTypeName(type) == name) return type;
  }
  throw inputError("'{}' is not an element type", name);
}

Dim parseDim(const std::string& text) {
  if (text == "?") return Dim();
  const bool number = text.find_first_not_of("0123456789") == std::string::npos;
  return number ? Dim(toNumber<int64_t>(text)) : Dim::named(text);
}

// What follows the element type.
std::optional<Shape> parseShape(Scanner& in) {
  in.expect("[");
  if (in.take("*]")) return std::nullopt;
  Shape shape;
  while (!in.take("]")) {
    if (!shape.empty()) in.expect(",");
    shape.push_back(parseDim(in.phrase(",]", "a dimension")));
  }
  return shape;
}

TensorType parseType(Scanner& in) {
  const ElementType element = parseElement(in.word("[", "a type"));
  return {element, parseShape(in)};
}

Tensor parseTensor(Scanner& in, const TensorType& type) {
  if (!type.isStatic()) throw inputError("the shape {} is not known", typeToString(type));
  Tensor tensor(type.element, type.dims());
  in.expect("[");
  visitElementType(type.element, [&](auto tag) {
    using T = decltype(tag);
    T* data = tensor.mutableData<T>();
    int64_t count = 0;
    while (!in.take("]")) {
      if (count > 0) in.expect(",");
      if (in.take("...")) {
        std::fill(data + std::min(count, tensor.size()), data + tensor.size(),
                  count > 0 ? data[count - 1] : T{});
        count = tensor.size();
        in.expect("]");
        break;
      }
      if (count == tensor.size()) throw inputError("more than {} elements", tensor.size());
      data[count++] = toNumber<T>(in.word(",]", "a number"));
    }
    if (count != tensor.size()) {
      throw inputError("expected {} elements, got {}", tensor.size(), count);
    }
  });
  return tensor;
}

// ---- Attributes ----------------------------------------------------------------------------

AttributeValue parseNumber(const std::string& text) {
  if (text.find_first_of(".en") == std::string::npos) return toNumber<int64_t>(text);
  return toNumber<float>(text);
}

AttributeValue parseList(Scanner& in) {
  std::vector<int64_t> integers;
  std::vector<float> floats;
  std::vector<std::string> texts;
  while (!in.take("]")) {
    if (!integers.empty() || !floats.empty() || !texts.empty()) in.expect(",");
    if (in.peek() == '"') {
      texts.push_back(in.quotedText());
      continue;
    }
    const AttributeValue number = parseNumber(in.word(",]", "a number"));
    if (const auto* integer = std::get_if<int64_t>(&number)) integers.push_back(*integer);
    if (const auto* real = std::get_if<float>(&number)) floats.push_back(*real);
  }
  const int kinds = !integers.empty() + !floats.empty() + !texts.empty();
  if (kinds > 1) throw inputError("a list of several kinds");
  if (!floats.empty()) return floats;
  if (!texts.empty()) return texts;
  return integers;
}

AttributeValue parseAttribute(Scanner& in) {
  if (in.peek() == '"') return in.quotedText();
  if (in.take("[")) return parseList(in);
  const std::string text = in.word(",}[", "a value");
  if (in.peek() != '[') return parseNumber(text);
  const ElementType element = parseElement(text);
  return parseTensor(in, {element, parseShape(in)});
}

AttributeMap parseAttributes(Scanner& in) {
  AttributeMap attributes;
  if (!in.take("{")) return attributes;
  while (!in.take("}")) {
    if (!attributes.empty()) in.expect(",");
    const std::string name = in.word("=", "an attribute's name");
    in.expect("=");
    attributes[name] = parseAttribute(in);
  }
  return attributes;
}

// ---- Lines ---------------------------------------------------------------------------------

struct ParsedOutput {
  std::string name;
  std::optional<TensorType> type;
  std::string quantizer;
};

class Parser {
 public:
  explicit Parser(const OpRegistry& registry) : graph_(registry) {}

  Graph run(const std::string& text) {
    std::istringstream lines(text);
    std::string line;
    for (int number = 1; std::getline(lines, line); ++number) {
      try {
        Scanner in(line);
        if (in.atEnd() || in.peek() == '#') continue;
        parseLine(in);
        if (!in.atEnd()) in.fail("the end of the line");
      } catch (const Error& error) {
        throw inputError("line {}: {}", number, error.what());
      }
    }
    return std::move(graph_);
  }

 private:
  void parseLine(Scanner& in) {
    if (in.peek() == '%') return parseNode(in);
    if (in.take("input ")) {
      const std::string name = newName(in.valueName());
      in.expect(":");
      graph_.addInput(name, parseType(in));
    } else if (in.take("constant ")) {
      const auto [name, tensor] = parseDefinition(in);
      graph_.addConstant(name, tensor);
    } else if (in.take("next ")) {
      const std::string name = in.valueName();
      Variable* variable = graph_.findVariable(name);
      if (variable == nullptr) throw inputError("'%{}' is not a variable", name);
      in.expect("=");
      variable->setNext(definedValue(in));
    } else if (in.take("output ")) {
      const std::string name = in.name();
      in.expect("=");
      graph_.outputs.push_back({name, definedValue(in)});
    } else {
      parseVariable(in);
    }
  }

  void parseVariable(Scanner& in) {
    for (VariableRole role : kRoles) {
      if (!in.take(std::string(variableRoleName(role)) + " ")) continue;
      const auto [name, tensor] = parseDefinition(in);
      graph_.addVariable(name, role, tensor);
      return;
    }
    in.fail("input, constant, a variable's role, a value, next or output");
  }

  std::pair<std::string, Tensor> parseDefinition(Scanner& in) {
    const std::string name = newName(in.valueName());
    in.expect(":");
    const TensorType type = parseType(in);
    in.expect("=");
    return {name, parseTensor(in, type)};
  }

  std::string newName(const std::string& name) const {
    if (graph_.findValue(name) != nullptr) throw inputError("'%{}' is defined twice", name);
    return name;
  }

  Value* definedValue(Scanner& in) const {
    const std::string name = in.valueName();
    Value* value = graph_.findValue(name);
    if (value == nullptr) throw inputError("'%{}' is not defined", name);
    return value;
  }

  static std::vector<ParsedOutput> parseOutputs(Scanner& in) {
    std::vector<ParsedOutput> outputs;
    do {
      ParsedOutput& output = outputs.emplace_back();
      output.name = in.valueName();
      if (in.take(":")) output.type = parseType(in);
      if (in.take("@")) output.quantizer = in.name();
    } while (in.take(","));
    in.expect("=");
    return outputs;
  }

  std::vector<Value*> parseInputs(Scanner& in) const {
    std::vector<Value*> inputs;
    in.expect("(");
    while (!in.take(")")) {
      if (!inputs.empty()) in.expect(",");
      inputs.push_back(in.take("_") ? nullptr : definedValue(in));
    }
    while (!inputs.empty() && inputs.back() == nullptr) inputs.pop_back();
    return inputs;
  }

  void parseNode(Scanner& in) {
    const std::vector<ParsedOutput> outputs = parseOutputs(in);
    const std::string op_type = in.word("(", "an operator");
    const OpDefinition* op = graph_.registry().find(op_type);
    if (op == nullptr) throw inputError("operator '{}' is not known", op_type);
    const std::vector<Value*> inputs = parseInputs(in);
    checkCount("inputs", inputs.size(), op->min_inputs, op->max_inputs);
    for (size_t i = 0; i < op->min_inputs; ++i) {
      if (inputs[i] == nullptr) throw inputError("input {} is missing", i);
    }
    checkCount("outputs", outputs.size(), op->min_outputs, op->max_outputs);
    std::unique_ptr<Attributes> attributes = op->make_attributes();
    attributes->parse(parseAttributes(in));
    const std::string name = in.peek() == '"' ? in.quotedText() : outputs[0].name;
    std::vector<Value*> values;
    for (const ParsedOutput& output : outputs) values.push_back(graph_.addValue(newName(output.name)));
    Node* node = graph_.addNodeWithOutputs(*op, name, inputs, values, std::move(attributes));
    graph_.inferTypes(*node);
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (outputs[i].type) values[i]->type = *outputs[i].type;
      if (!outputs[i].quantizer.empty()) values[i]->quantizer = quantizer(outputs[i].quantizer, *node);
    }
  }

  static void checkCount(const char* what, size_t count, size_t least, size_t most) {
    if (count < least || count > most) {
      throw inputError("expected {} to {} {}, got {}", least, most, what, count);
    }
  }

  // The quantizer's parameters are those of the FakeQuantize that has its name first.
  Quantizer* quantizer(const std::string& name, const Node& node) {
    Quantizer*& result = quantizers_[name];
    if (result != nullptr) return result;
    const bool defines = node.op().qualifiedName() == "simaqat::FakeQuantize";
    result = graph_.addQuantizer(
        name, defines ? node.attributes<QuantizerSpec>() : activationQuantizer());
    if (defines) {
      result->scale = node.input(1);
      result->zero_point = node.input(2);
    }
    return result;
  }

  Graph graph_;
  std::map<std::string, Quantizer*> quantizers_;
};

}  // namespace

Graph parseText(const std::string& text, const OpRegistry& registry) {
  return Parser(registry).run(text);
}

}  // namespace simaqat
