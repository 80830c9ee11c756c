#include "qat/ir/op.h"

#include <algorithm>

#include "qat/ir/dim_limit.h"

namespace simaqat {

// ---- InferContext --------------------------------------------------------------------------

const Shape* InferContext::shape(size_t i) const {
  const Value* value = node.input(i);
  return value != nullptr && value->type.shape ? &*value->type.shape : nullptr;
}

const Tensor* InferContext::constant(size_t i) const {
  const Value* value = node.input(i);
  return value != nullptr && value->isConstant() ? &value->constant : nullptr;
}

void InferContext::setOutput(size_t i, ElementType element, std::optional<Shape> shape) {
  if (i >= outputs_.size()) return;
  const auto is_impossible = [](const Dim& dim) {
    return dim.known() && !isPossibleDim(dim.value);
  };
  if (shape && std::any_of(shape->begin(), shape->end(), is_impossible)) {
    node.fail("output {}: {} is too large", i, shapeToString(*shape));
  }
  outputs_[i] = {element, std::move(shape)};
}

void InferContext::expectRank(size_t i, size_t rank) const {
  const Shape* s = shape(i);
  if (s != nullptr && s->size() != rank) {
    node.fail("input {}: expected rank {}, got {}", i, rank, typeToString(input(i)));
  }
}

void InferContext::expectElement(size_t i, ElementType element) const {
  if (hasInput(i) && input(i).element != element) {
    node.fail("input {}: expected element type {}, got {}", i, elementTypeName(element),
              elementTypeName(input(i).element));
  }
}

// ---- GradientContext -----------------------------------------------------------------------

GradientContext::GradientContext(Graph& graph, const Node& node,
                                 std::vector<Value*> output_gradients, std::vector<bool> wanted,
                                 bool behind_where)
    : graph(graph),
      node(node),
      output_gradients_(std::move(output_gradients)),
      wanted_(std::move(wanted)),
      behind_where_(behind_where),
      input_gradients_(node.inputCount(), nullptr) {}

Value* GradientContext::factor(Value* value) {
  if (!behind_where_ || value == nullptr || value->variable != nullptr) return value;
  return add("simaqat::FiniteOrZero", {value});
}

std::string GradientContext::gradientName() const {
  return (node.name().empty() ? node.output()->name() : node.name()) + "/grad";
}

Value* GradientContext::add(const std::string& op_type, const std::vector<Value*>& inputs,
                            std::unique_ptr<Attributes> attributes) {
  return graph.add(op_type, gradientName(), inputs, std::move(attributes));
}

std::vector<Value*> GradientContext::addMany(const std::string& op_type,
                                             const std::vector<Value*>& inputs, size_t output_count,
                                             std::unique_ptr<Attributes> attributes) {
  Graph::NodeOptions options;
  options.output_count = output_count;
  return graph.addNode(op_type, gradientName(), inputs, std::move(attributes), options)->outputs();
}

Value* GradientContext::constant(Tensor tensor) {
  return graph.addConstant(gradientName() + "/constant", std::move(tensor));
}

Value* GradientContext::scalar(double number, const Value* like) {
  return constant(Tensor::scalar<double>(number).converted(like->type.element));
}

Value* GradientContext::sumTo(Value* gradient, const Value* like) {
  if (gradient->type.shape == like->type.shape) return gradient;
  const std::vector<int64_t> from = gradient->type.dims();
  const std::vector<int64_t> to = like->type.dims();
  std::vector<int64_t> axes;
  const size_t extra = from.size() - to.size();
  for (size_t axis = 0; axis < from.size(); ++axis) {
    if (axis < extra || (to[axis - extra] == 1 && from[axis] != 1)) {
      axes.push_back(static_cast<int64_t>(axis));
    }
  }
  Value* sum = gradient;
  if (!axes.empty()) {
    sum = add("ReduceSum",
              {gradient, constant(Tensor::of({static_cast<int64_t>(axes.size())}, axes))});
  }
  return sum->type.shape == like->type.shape ? sum : reshapeLike(sum, like);
}

Value* GradientContext::reshapeLike(Value* value, const Value* like) {
  const std::vector<int64_t> dims = like->type.dims();
  return add("Reshape", {value, constant(Tensor::of({static_cast<int64_t>(dims.size())}, dims))});
}

// ---- PortableNode --------------------------------------------------------------------------

void PortableNode::attributeToInput(const std::string& attribute, size_t index) {
  const auto it = attributes.find(attribute);
  if (it == attributes.end()) return;
  const auto* list = std::get_if<std::vector<int64_t>>(&it->second);
  if (list == nullptr) fail(fmt::format("attribute '{}' is not a list of integers", attribute));
  if (inputs.size() <= index) inputs.resize(index + 1);
  inputs[index] = add_constant(attribute, Tensor::of({static_cast<int64_t>(list->size())}, *list));
  attributes.erase(it);
}

void PortableNode::inputToAttribute(size_t index, const std::string& attribute) {
  if (index >= inputs.size() || inputs[index].empty()) return;
  const Tensor* tensor = constant(inputs[index]);
  if (tensor == nullptr) fail(fmt::format("input '{}' has to be constant", attribute));
  attributes[attribute] = tensor->toVector<int64_t>();
  inputs[index].clear();
  while (!inputs.empty() && inputs.back().empty()) inputs.pop_back();
}

void PortableNode::fail(const std::string& message) const {
  throw inputError("{} '{}' {}", domain.empty() ? op_type : domain + "::" + op_type, name, message);
}

// ---- OpRegistry ----------------------------------------------------------------------------

int64_t weightGroups(const Node& node) {
  const auto groups = node.op().quantization.weight_groups;
  return groups == nullptr ? 1 : groups(node);
}

bool sharesQuantizer(const Node& node) {
  const QuantizationTraits& traits = node.op().quantization;
  if (traits.output != OutputQuantization::kShares) return false;
  return traits.shares == nullptr || traits.shares(node);
}

OpExample::OpExample(std::string name, AttributeMap attributes, std::vector<Tensor> inputs)
    : name(std::move(name)), attributes(std::move(attributes)), inputs(std::move(inputs)) {}
OpExample::OpExample(const OpExample&) = default;
OpExample::OpExample(OpExample&&) noexcept = default;
OpExample& OpExample::operator=(const OpExample&) = default;
OpExample& OpExample::operator=(OpExample&&) noexcept = default;
OpExample::~OpExample() = default;

OpDefinition::OpDefinition() = default;
OpDefinition::OpDefinition(OpDefinition&&) noexcept = default;
OpDefinition& OpDefinition::operator=(OpDefinition&&) noexcept = default;
OpDefinition::~OpDefinition() = default;

void OpRegistry::add(OpDefinition definition) {
  SIMAQAT_CHECK(definition.infer != nullptr && definition.evaluate != nullptr, "{}",
                definition.name);
  const std::string name = definition.qualifiedName();
  const bool added =
      definitions_.emplace(name, std::make_unique<OpDefinition>(std::move(definition))).second;
  SIMAQAT_CHECK(added, "{} is defined twice", name);
}

const OpDefinition* OpRegistry::find(const std::string& qualified_name) const {
  const auto it = definitions_.find(qualified_name);
  return it == definitions_.end() ? nullptr : it->second.get();
}

const OpDefinition& OpRegistry::get(const std::string& qualified_name) const {
  const OpDefinition* definition = find(qualified_name);
  SIMAQAT_CHECK(definition != nullptr, "no operator {}", qualified_name);
  return *definition;
}

// ---- Helpers -------------------------------------------------------------------------------

std::optional<Shape> broadcastShapes(const Node& node, const Shape* a, const Shape* b) {
  if (a == nullptr || b == nullptr) return std::nullopt;
  const size_t rank = std::max(a->size(), b->size());
  Shape result(rank);
  for (size_t k = 0; k < rank; ++k) {
    // Counted from the last axis; a missing one is 1.
    const Dim da = k < a->size() ? (*a)[a->size() - 1 - k] : Dim(1);
    const Dim db = k < b->size() ? (*b)[b->size() - 1 - k] : Dim(1);
    Dim& out = result[rank - 1 - k];
    if (da == db || (db.known() && db.value == 1)) {
      out = da;
    } else if (da.known() && da.value == 1) {
      out = db;
    } else if (da.known() && db.known()) {
      node.fail("shapes {} and {} do not broadcast", shapeToString(*a), shapeToString(*b));
    } else {
      // One is a number above 1: the other has to be 1 or the same.
      out = da.known() ? da : db;
    }
  }
  return result;
}

int64_t normalizeAxis(const Node& node, int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank) {
    node.fail("axis {} is out of range for rank {}", axis, rank);
  }
  return axis < 0 ? axis + rank : axis;
}

double operationsOf(const Node& node) {
  if (node.op().operations != nullptr) return node.op().operations(node);
  double elements = 0;
  for (const Value* output : node.outputs()) {
    // A mask comes with what else is computed.
    if (output->type.element == ElementType::kBit) continue;
    elements += static_cast<double>(output->type.size());
  }
  return elements;
}

std::vector<Tensor> evaluateOnHost(const Graph& graph, const Node& node,
                                   const std::vector<Tensor>& inputs, ThreadPool& pool) {
  // The node's types come from these very tensors, so that a copy with constants is inferred.
  Graph scratch(graph.registry());
  std::vector<Value*> values;
  for (size_t i = 0; i < inputs.size(); ++i) {
    values.push_back(inputs[i].defined() ? scratch.addConstant(fmt::format("i{}", i), inputs[i])
                                         : nullptr);
  }
  Graph::NodeOptions options;
  options.output_count = node.outputCount();
  Node* copy = scratch.addNode(node.op().qualifiedName(), node.name(), values,
                               node.rawAttributes().clone(), options);
  std::vector<Tensor> outputs;
  std::vector<TensorView> input_views(inputs.size());
  std::vector<TensorView> output_views;
  std::vector<Tensor> held = inputs;
  for (size_t i = 0; i < held.size(); ++i) {
    if (!held[i].defined()) continue;
    input_views[i] = {held[i].type(), held[i].dims(), held[i].size(),
                      const_cast<std::byte*>(held[i].rawData())};
  }
  for (const Value* output : copy->outputs()) {
    if (!output->type.isStatic()) {
      node.fail("output '{}' has a shape that depends on data: {}", output->name(),
                typeToString(output->type));
    }
    outputs.emplace_back(output->type.element, output->type.dims());
  }
  for (Tensor& output : outputs) {
    output_views.push_back({output.type(), output.dims(), output.size(), output.mutableRawData()});
  }
  const int64_t bytes =
      node.op().workspace != nullptr ? node.op().workspace(*copy, pool.threads()) : 0;
  Tensor workspace(ElementType::kUint8, {bytes});
  node.op().evaluate({*copy, input_views, output_views, workspace.mutableRawData(), pool});
  return outputs;
}

}  // namespace simaqat
