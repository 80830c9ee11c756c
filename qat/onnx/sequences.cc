#include "qat/onnx/sequences.h"

#include <set>

#include "qat/base/error.h"
#include "qat/onnx/convert.h"
#include "qat/onnx/make_node.h"

namespace simaqat::onnx_format {
namespace {

int64_t integerAttribute(const onnx::NodeProto& node, const std::string& name, int64_t otherwise) {
  const AttributeMap attributes = toAttributes(node, "");
  const auto it = attributes.find(name);
  return it == attributes.end() ? otherwise : std::get<int64_t>(it->second);
}

bool hasInput(const onnx::NodeProto& node, int input) {
  return input < node.input_size() && !node.input(input).empty();
}

// Lengths of `part`, and a shorter last one where the axis is no multiple.
std::vector<int64_t> chunks(int64_t length, int64_t part) {
  if (part < 1) throw inputError("expected parts of at least 1, got {}", part);
  std::vector<int64_t> sizes(static_cast<size_t>(length / part), part);
  if (length % part != 0) sizes.push_back(length % part);
  return sizes;
}

}  // namespace

bool Sequences::isOperator(const std::string& qualified_name) {
  static const std::set<std::string> kNames = {
      "SequenceEmpty", "SequenceConstruct", "SequenceInsert",  "SequenceErase",
      "SequenceAt",    "SequenceLength",    "SplitToSequence", "ConcatFromSequence"};
  return kNames.count(qualified_name) != 0;
}

bool Sequences::concerns(const onnx::NodeProto& node) const {
  const bool copies = isStandardDomain(node.domain()) && node.op_type() == "Identity" &&
                      node.input_size() == 1 && isSequence(node.input(0));
  return copies || isOperator(qualifiedName(node));
}

std::vector<OpsetNode> Sequences::lower(const OpsetNode& node) {
  std::vector<OpsetNode> nodes;
  for (onnx::NodeProto& proto : lowered(node.proto))
    nodes.push_back({std::move(proto), kMadeOpset});
  return nodes;
}

std::vector<onnx::NodeProto> Sequences::lowered(const onnx::NodeProto& node) {
  const std::string& type = node.op_type();
  if (node.output_size() != 1) throw inputError("expected one output, got {}", node.output_size());
  if (type == "SplitToSequence") return split(node);
  if (type == "ConcatFromSequence") return concat(node);
  if (type == "SequenceEmpty") {
    define(node, {});
    return {};
  }
  if (!hasInput(node, 0)) throw inputError("input 0 is missing");
  if (type == "SequenceConstruct") {
    define(node, {node.input().begin(), node.input().end()});
    return {};
  }
  Names list = elements(node.input(0));
  if (type == "SequenceLength") {
    return {constantNode(node.output(0), Tensor::scalar(static_cast<int64_t>(list.size())))};
  }
  if (type == "SequenceAt") {
    return {identity(list[position(node, 1, list.size(), 0)], node.output(0))};
  }
  if (type == "SequenceInsert") {
    if (!hasInput(node, 1)) throw inputError("input 1 is missing");
    const size_t at = position(node, 2, list.size() + 1, list.size());
    list.insert(list.begin() + static_cast<std::ptrdiff_t>(at), node.input(1));
  } else if (type == "SequenceErase") {
    const size_t at = position(node, 1, list.size(), list.size() - 1);
    list.erase(list.begin() + static_cast<std::ptrdiff_t>(at));
  }
  define(node, std::move(list));
  return {};
}

const Sequences::Names& Sequences::elements(const std::string& name) const {
  const auto it = elements_.find(name);
  if (it == elements_.end()) throw inputError("input '{}' is not a sequence", name);
  return it->second;
}

size_t Sequences::position(const onnx::NodeProto& node, int input, size_t count,
                           size_t otherwise) const {
  int64_t at = static_cast<int64_t>(otherwise);
  if (hasInput(node, input)) {
    const Tensor known = around_.known(node.input(input));
    if (!known.defined() || known.size() != 1) {
      throw inputError(
          "the position '{}' depends on data or on an open dimension; only a known one "
          "is supported",
          node.input(input));
    }
    at = known.toVector<int64_t>()[0];
  }
  // Insertion counts its positions from the end of the sequence, not from the last position.
  const bool inserts = node.op_type() == "SequenceInsert";
  if (at < 0) at += static_cast<int64_t>(count) - (inserts ? 1 : 0);
  if (at < 0 || at >= static_cast<int64_t>(count)) {
    throw inputError("position {} is out of range for a sequence of {}", at,
                     count - (inserts ? 1 : 0));
  }
  return static_cast<size_t>(at);
}

void Sequences::define(const onnx::NodeProto& node, Names elements) {
  if (!elements_.emplace(node.output(0), std::move(elements)).second) {
    throw inputError("output '{}' is defined twice", node.output(0));
  }
}

std::vector<onnx::NodeProto> Sequences::split(const onnx::NodeProto& node) {
  if (!hasInput(node, 0)) throw inputError("input 0 is missing");
  const int64_t axis = integerAttribute(node, "axis", 0);
  const bool squeezes = !hasInput(node, 1) && integerAttribute(node, "keepdims", 1) == 0;
  const std::vector<int64_t> sizes = partSizes(node, axis);
  Names names;
  for (size_t i = 0; i < sizes.size(); ++i) {
    names.push_back(fmt::format("{}/{}", node.output(0), i));
  }
  define(node, names);
  if (names.empty()) return {};
  if (squeezes) return unstackNodes(node.input(0), axis, names);
  const std::string lengths = node.output(0) + "/lengths";
  return {constantNode(lengths, Tensor::of({static_cast<int64_t>(sizes.size())}, sizes)),
          makeNode("Split", {node.input(0), lengths}, names, {{"axis", axis}})};
}

std::vector<int64_t> Sequences::partSizes(const onnx::NodeProto& node, int64_t axis) const {
  Tensor sizes = Tensor::scalar<int64_t>(1);
  if (hasInput(node, 1)) {
    sizes = around_.known(node.input(1));
    if (!sizes.defined()) throw inputError("input 1 '{}' is not known", node.input(1));
    if (sizes.dims().size() == 1) return sizes.toVector<int64_t>();
  }
  const TensorType type = around_.type(node.input(0));
  const int64_t rank = type.shape ? static_cast<int64_t>(type.shape->size()) : 0;
  const int64_t at = axis < 0 ? axis + rank : axis;
  if (at < 0 || at >= rank || !(*type.shape)[static_cast<size_t>(at)].known()) {
    throw inputError("input 0 '{}': the length of axis {} is not known, its type is {}",
                     node.input(0), axis, typeToString(type));
  }
  return chunks((*type.shape)[static_cast<size_t>(at)].value, sizes.toVector<int64_t>()[0]);
}

std::vector<onnx::NodeProto> Sequences::concat(const onnx::NodeProto& node) const {
  if (!hasInput(node, 0)) throw inputError("input 0 is missing");
  const Names& list = elements(node.input(0));
  if (list.empty()) throw inputError("input '{}' is an empty sequence", node.input(0));
  const int64_t axis = integerAttribute(node, "axis", 0);
  if (integerAttribute(node, "new_axis", 0) != 0) return stackNodes(list, axis, node.output(0));
  return {makeNode("Concat", list, {node.output(0)}, {{"axis", axis}})};
}

}  // namespace simaqat::onnx_format
