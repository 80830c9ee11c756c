#include "qat/onnx/control_flow.h"

#include <algorithm>
#include <limits>
#include <set>

#include "qat/base/error.h"
#include "qat/onnx/convert.h"
#include "qat/onnx/make_node.h"

namespace simaqat::onnx_format {
namespace {

// A count of more is a mistake, or a model for which unrolling is the wrong way.
constexpr int64_t kMostNodes = 200000;

// What a body computes from nothing: its initializers and constants, the same in each iteration.
onnx::GraphProto takeConstants(onnx::GraphProto& body) {
  onnx::GraphProto constants;
  constants.mutable_initializer()->Swap(body.mutable_initializer());
  constants.mutable_sparse_initializer()->Swap(body.mutable_sparse_initializer());
  onnx::GraphProto rest;
  for (const onnx::NodeProto& node : body.node()) {
    const bool is_constant = node.op_type() == "Constant" && isStandardDomain(node.domain());
    *(is_constant ? constants : rest).add_node() = node;
  }
  body.mutable_node()->Swap(rest.mutable_node());
  return constants;
}

// A node's attributes without its bodies.
AttributeMap plainAttributes(const onnx::NodeProto& node) {
  onnx::NodeProto plain;
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    if (!attribute.has_g()) *plain.add_attribute() = attribute;
  }
  return toAttributes(plain, "");
}

// An attribute with one integer for each input or output, 0 where it is missing.
std::vector<int64_t> integers(const AttributeMap& attributes, const std::string& name,
                              size_t count) {
  const auto it = attributes.find(name);
  if (it == attributes.end()) return std::vector<int64_t>(count, 0);
  const auto* list = std::get_if<std::vector<int64_t>>(&it->second);
  if (list == nullptr || list->size() != count) {
    throw inputError("attribute '{}': expected {} integers", name, count);
  }
  return *list;
}

}  // namespace

// The iterations of a Loop or Scan, one behind the other: a body, what is carried from each to the
// next, and what each adds to the outputs.
class ControlFlow::Iterations {
 public:
  Iterations(ControlFlow& flow, const onnx::NodeProto& node, int opset)
      : flow_(flow), node_(node), opset_(opset), body_(bodyOf(node, "body")) {
    onnx::GraphProto constants = takeConstants(body_);
    const auto remember = [&](const std::string& name) {
      if (flow_.around_.taken(name)) names_[name] = displayName(node_) + "/" + name;
    };
    for (const auto& tensor : constants.initializer()) remember(tensor.name());
    for (const auto& constant : constants.node()) remember(constant.output(0));
    constants = inlineBody(constants, names_, displayName(node_), flow_.around_.taken);
    flow_.around_.add(constants, opset_);
  }

  // The number of values that are carried, behind the body's first inputs and outputs.
  void start(std::vector<std::string> carried, int first_input, int first_output) {
    carried_ = std::move(carried);
    first_input_ = first_input;
    first_output_ = first_output;
    const int count = static_cast<int>(carried_.size());
    if (body_.input_size() < first_input_ + count || body_.output_size() < first_output_ + count) {
      throw inputError("expected a body with at least {} inputs and {} outputs, got {} and {}",
                       first_input_ + count, first_output_ + count, body_.input_size(),
                       body_.output_size());
    }
    parts_.resize(static_cast<size_t>(body_.output_size() - first_output_ - count));
  }
  size_t partCount() const { return parts_.size(); }

  // Runs the body once more; `inputs` are those that are not carried, by position.
  // Returns the name of the body's first output.
  std::string run(const std::map<int, std::string>& inputs) {
    flow_.unrolled_nodes_ += 1 + body_.node_size();
    if (flow_.unrolled_nodes_ > kMostNodes) {
      throw inputError("its iterations have more than {} nodes", kMostNodes);
    }
    BodyNames names = names_;
    for (const auto& [position, name] : inputs) names[body_.input(position).name()] = name;
    for (size_t i = 0; i < carried_.size(); ++i) {
      names[body_.input(first_input_ + static_cast<int>(i)).name()] = carried_[i];
    }
    onnx::GraphProto iteration = inlineBody(
        body_, names, fmt::format("{}/{}", displayName(node_), count_), flow_.around_.taken);
    flow_.around_.add(iteration, opset_);
    int output = first_output_;
    for (std::string& name : carried_) name = iteration.output(output++).name();
    for (auto& part : parts_) part.push_back(iteration.output(output++).name());
    ++count_;
    return iteration.output_size() > 0 ? iteration.output(0).name() : "";
  }

  // The values that are carried out become the node's first outputs.
  void finishCarried() {
    for (size_t i = 0; i < carried_.size(); ++i) {
      const std::string output = outputName(i);
      if (!output.empty()) flow_.addNodes({identity(carried_[i], output)});
    }
  }
  // Joins what the iterations gave for the part `index` along a new axis.
  void finishPart(size_t index, int64_t axis, bool reversed) {
    const std::string output = outputName(carried_.size() + index);
    std::vector<std::string> parts = parts_[index];
    if (output.empty()) return;
    if (parts.empty()) throw inputError("no iteration: its output '{}' has no elements", output);
    if (reversed) std::reverse(parts.begin(), parts.end());
    flow_.addNodes(stackNodes(parts, axis, output));
  }

 private:
  std::string outputName(size_t i) const {
    const int index = static_cast<int>(i);
    return index < node_.output_size() ? node_.output(index) : "";
  }

  ControlFlow& flow_;
  const onnx::NodeProto& node_;
  const int opset_;
  onnx::GraphProto body_;
  BodyNames names_;
  std::vector<std::string> carried_;
  std::vector<std::vector<std::string>> parts_;
  int first_input_ = 0, first_output_ = 0;
  int64_t count_ = 0;
};

bool ControlFlow::isOperator(const std::string& qualified_name) {
  static const std::set<std::string> kNames = {"If", "Loop", "Scan"};
  return kNames.count(qualified_name) != 0;
}

void ControlFlow::add(const OpsetNode& node) {
  if (node.proto.op_type() == "If") addIf(node.proto, node.opset);
  if (node.proto.op_type() == "Loop") addLoop(node.proto, node.opset);
  if (node.proto.op_type() == "Scan") addScan(node.proto, node.opset);
}

void ControlFlow::addNodes(const std::vector<onnx::NodeProto>& nodes) {
  onnx::GraphProto graph;
  for (const onnx::NodeProto& node : nodes) *graph.add_node() = node;
  around_.add(graph, kMadeOpset);
}

bool ControlFlow::knownCondition(const std::string& name) const {
  const Tensor condition = around_.known(name);
  if (!condition.defined() || condition.size() != 1) {
    throw inputError(
        "the condition '{}' depends on data or on an open dimension; only a known one "
        "is supported",
        name);
  }
  return condition.toVector<int64_t>()[0] != 0;
}

void ControlFlow::addIf(const onnx::NodeProto& node, int opset) {
  if (node.input_size() != 1) throw inputError("expected a condition");
  const onnx::GraphProto& branch =
      bodyOf(node, knownCondition(node.input(0)) ? "then_branch" : "else_branch");
  if (branch.output_size() != node.output_size()) {
    throw inputError("expected {} outputs of the branch, got {}", node.output_size(),
                     branch.output_size());
  }
  std::set<std::string> own;
  for (const auto& tensor : branch.initializer()) own.insert(tensor.name());
  for (const auto& inside : branch.node()) {
    own.insert(inside.output().begin(), inside.output().end());
  }
  BodyNames names;
  std::vector<int> copied;
  for (int i = 0; i < node.output_size(); ++i) {
    // A branch may give one value under two names, or one from outside.
    const std::string& inside = branch.output(i).name();
    const bool named = own.count(inside) != 0 && names.emplace(inside, node.output(i)).second;
    if (!named) copied.push_back(i);
  }
  onnx::GraphProto taken = inlineBody(branch, names, displayName(node), around_.taken);
  for (const int i : copied) {
    *taken.add_node() = identity(taken.output(i).name(), node.output(i));
  }
  around_.add(taken, opset);
}

// Inputs: the most iterations, the condition of the first, what is carried. The body's: the
// iteration, the condition, what is carried; its outputs: the next condition, what is carried,
// parts.
void ControlFlow::addLoop(const onnx::NodeProto& node, int opset) {
  const auto input = [&](int i) { return i < node.input_size() ? node.input(i) : ""; };
  std::vector<std::string> carried;
  for (int i = 2; i < node.input_size(); ++i) carried.push_back(node.input(i));
  Iterations iterations(*this, node, opset);
  iterations.start(carried, 2, 1);

  int64_t most = std::numeric_limits<int64_t>::max();
  if (!input(0).empty()) {
    const Tensor count = around_.known(input(0));
    if (!count.defined() || count.size() != 1) {
      throw inputError(
          "the number of iterations '{}' depends on data or on an open dimension; only "
          "a known one is supported",
          input(0));
    }
    most = count.toVector<int64_t>()[0];
  }
  const bool conditional = !input(1).empty();
  bool goes_on = !conditional || knownCondition(input(1));
  for (int64_t i = 0; goes_on && i < most; ++i) {
    const std::string name = fmt::format("{}/{}/iteration", displayName(node), i);
    addNodes({constantNode(name, Tensor::scalar(i)),
              constantNode(name + "/condition", Tensor::scalar(true))});
    const std::string next = iterations.run({{0, name}, {1, name + "/condition"}});
    if (conditional) goes_on = knownCondition(next);
  }
  iterations.finishCarried();
  for (size_t part = 0; part < iterations.partCount(); ++part) {
    iterations.finishPart(part, 0, false);
  }
}

// Inputs: what is carried, then tensors of which each iteration takes the next slice. The body's
// are the same; its outputs: what is carried, then slices of the outputs.
void ControlFlow::addScan(const onnx::NodeProto& node, int opset) {
  if (opset < 9) throw inputError("the form of opset 8 is not supported (9 and later are)");
  const AttributeMap attributes = plainAttributes(node);
  const auto count = attributes.find("num_scan_inputs");
  const int scanned =
      count == attributes.end() ? 0 : static_cast<int>(std::get<int64_t>(count->second));
  const int carried_count = node.input_size() - scanned;
  if (scanned < 1 || carried_count < 0) {
    throw inputError("attribute 'num_scan_inputs': expected 1 to {}, got {}", node.input_size(),
                     scanned);
  }
  Iterations iterations(*this, node, opset);
  iterations.start({node.input().begin(), node.input().begin() + carried_count}, 0, 0);

  const auto axes = integers(attributes, "scan_input_axes", static_cast<size_t>(scanned));
  const auto directions =
      integers(attributes, "scan_input_directions", static_cast<size_t>(scanned));
  std::vector<std::vector<std::string>> slices;
  for (int i = 0; i < scanned; ++i) {
    const auto k = static_cast<size_t>(i);
    const std::string& name = node.input(carried_count + i);
    slices.push_back(takeApart(name, axes[k], fmt::format("{}/{}", displayName(node), i)));
    if (directions[k] == 1) std::reverse(slices[k].begin(), slices[k].end());
    if (slices[k].size() != slices[0].size()) {
      throw inputError("input '{}': expected {} slices, got {}", name, slices[0].size(),
                       slices[k].size());
    }
  }
  for (size_t t = 0; t < slices[0].size(); ++t) {
    std::map<int, std::string> inputs;
    for (int i = 0; i < scanned; ++i) inputs[carried_count + i] = slices[static_cast<size_t>(i)][t];
    iterations.run(inputs);
  }
  iterations.finishCarried();
  const auto output_axes = integers(attributes, "scan_output_axes", iterations.partCount());
  const auto output_directions =
      integers(attributes, "scan_output_directions", iterations.partCount());
  for (size_t part = 0; part < iterations.partCount(); ++part) {
    iterations.finishPart(part, output_axes[part], output_directions[part] == 1);
  }
}

// The slices of a tensor along an axis of known length, without that axis.
std::vector<std::string> ControlFlow::takeApart(const std::string& name, int64_t axis,
                                                const std::string& prefix) {
  const TensorType type = around_.type(name);
  const int64_t rank = type.shape ? static_cast<int64_t>(type.shape->size()) : 0;
  const int64_t position = axis < 0 ? axis + rank : axis;
  if (position < 0 || position >= rank || !(*type.shape)[static_cast<size_t>(position)].known()) {
    throw inputError("input '{}': the length of axis {} is not known, its shape is {}", name, axis,
                     typeToString(type));
  }
  const int64_t length = (*type.shape)[static_cast<size_t>(position)].value;
  std::vector<std::string> slices;
  for (int64_t t = 0; t < length; ++t) slices.push_back(fmt::format("{}/slice.{}", prefix, t));
  if (length > 0) addNodes(unstackNodes(name, axis, slices));
  return slices;
}

}  // namespace simaqat::onnx_format
