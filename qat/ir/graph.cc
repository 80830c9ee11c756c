#include "qat/ir/graph.h"

#include <algorithm>
#include <unordered_set>

#include "qat/ir/op.h"

namespace simaqat {

const char* variableRoleName(VariableRole role) {
  switch (role) {
    case VariableRole::kWeight:
      return "weight";
    case VariableRole::kBatchNormStatistic:
      return "batch_norm_statistic";
    case VariableRole::kObserverRange:
      return "observer_range";
    case VariableRole::kQuantizerScale:
      return "quantizer_scale";
    case VariableRole::kMomentum:
      return "momentum";
  }
  return "?";
}

// ---- Node ----------------------------------------------------------------------------------

const std::string& Node::opType() const { return op_->name; }

std::string Node::describe() const {
  const std::string& shown = name_.empty() && !outputs_.empty() ? outputs_[0]->name() : name_;
  return fmt::format("{} '{}'", op_->qualifiedName(), shown);
}

void Node::setInput(size_t i, Value* value) {
  if (i >= inputs_.size()) inputs_.resize(i + 1, nullptr);
  if (Value* old = inputs_[i]) {
    auto& uses = old->uses_;
    uses.erase(std::find_if(uses.begin(), uses.end(),
                            [&](const Use& use) { return use.node == this && use.index == i; }));
  }
  inputs_[i] = value;
  if (value != nullptr) value->uses_.push_back({this, i});
  while (!inputs_.empty() && inputs_.back() == nullptr) inputs_.pop_back();
}

// ---- Graph: adding -------------------------------------------------------------------------

std::string Graph::uniqueName(const std::string& base) const {
  if (!base.empty() && names_.count(base) == 0) return base;
  for (size_t k = 1;; ++k) {
    std::string name = fmt::format("{}.{}", base, k);
    if (names_.count(name) == 0) return name;
  }
}

Value* Graph::addValue(const std::string& name) {
  values_.push_back(std::make_unique<Value>());
  Value* value = values_.back().get();
  value->name_ = uniqueName(name);
  names_[value->name_] = value;
  return value;
}

Value* Graph::addInput(const std::string& name, TensorType type) {
  Value* value = addValue(name);
  value->type = std::move(type);
  inputs.push_back(value);
  return value;
}

Value* Graph::addConstant(const std::string& name, Tensor tensor) {
  Value* value = addValue(name);
  value->type = {tensor.type(), toShape(tensor.dims())};
  value->constant = std::move(tensor);
  return value;
}

Variable* Graph::addVariable(const std::string& name, VariableRole role, Tensor tensor) {
  Value* value = addValue(name);
  value->type = {tensor.type(), toShape(tensor.dims())};
  variables_.push_back(std::make_unique<Variable>());
  Variable* variable = variables_.back().get();
  variable->name = value->name();
  variable->role = role;
  variable->value = std::move(tensor);
  variable->source = value;
  value->variable = variable;
  return variable;
}

Quantizer* Graph::addQuantizer(const std::string& name, QuantizerSpec spec) {
  quantizers_.push_back(std::make_unique<Quantizer>());
  quantizers_.back()->name = name;
  quantizers_.back()->spec = std::move(spec);
  return quantizers_.back().get();
}

Node* Graph::insertNode(const OpDefinition& op, const std::string& name, Node* before) {
  const auto where = before == nullptr ? nodes_.end() : before->position_;
  const auto position = nodes_.insert(where, std::make_unique<Node>());
  Node* node = position->get();
  node->op_ = &op;
  node->name_ = name;
  node->position_ = position;
  return node;
}

Node* Graph::addNodeWithOutputs(const OpDefinition& op, const std::string& name,
                                const std::vector<Value*>& inputs,
                                const std::vector<Value*>& outputs,
                                std::unique_ptr<Attributes> attributes) {
  Node* node = insertNode(op, name, nullptr);
  node->attributes_ = attributes ? std::move(attributes) : op.make_attributes();
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i] != nullptr) node->setInput(i, inputs[i]);
  }
  for (Value* output : outputs) {
    SIMAQAT_CHECK(output->producer_ == nullptr, "{}", output->name());
    output->producer_ = node;
    output->output_index_ = node->outputs_.size();
    node->outputs_.push_back(output);
  }
  return node;
}

Node* Graph::addNode(const std::string& op_type, const std::string& name,
                     const std::vector<Value*>& inputs, std::unique_ptr<Attributes> attributes,
                     const NodeOptions& options) {
  const OpDefinition& op = registry_->get(op_type);
  Node* node = insertNode(op, name, options.before);
  node->attributes_ = attributes ? std::move(attributes) : op.make_attributes();
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i] != nullptr) node->setInput(i, inputs[i]);
  }
  const size_t count = std::max(options.output_count, options.output_names.size());
  for (size_t i = 0; i < count; ++i) {
    Value* output = addValue(i < options.output_names.size() ? options.output_names[i] : name);
    output->producer_ = node;
    output->output_index_ = i;
    node->outputs_.push_back(output);
  }
  inferTypes(*node);
  return node;
}

Value* Graph::add(const std::string& op_type, const std::string& name,
                  const std::vector<Value*>& inputs, std::unique_ptr<Attributes> attributes,
                  Node* before) {
  NodeOptions options;
  options.before = before;
  return addNode(op_type, name, inputs, std::move(attributes), options)->output();
}

void Graph::inferTypes(Node& node) {
  std::vector<TensorType> types(node.outputs_.size());
  InferContext context(node, types);
  node.op_->infer(context);
  for (size_t i = 0; i < types.size(); ++i) {
    if (types[i].element != ElementType::kUndefined) node.outputs_[i]->type = types[i];
  }
}

// ---- Graph: changing -----------------------------------------------------------------------

void Graph::removeNode(Node* node) {
  for (Value* output : node->outputs_) {
    SIMAQAT_CHECK(useCount(output) == 0, "{} is still used", output->name());
    output->producer_ = nullptr;
    for (const auto& variable : variables_) SIMAQAT_CHECK(variable->next != output);
  }
  for (size_t i = node->inputs_.size(); i-- > 0;) node->setInput(i, nullptr);
  nodes_.erase(node->position_);
}

void Graph::replaceUses(Value* from, Value* to, const Node* except) {
  const std::vector<Use> uses = from->uses_;
  for (const Use& use : uses) {
    if (use.node != except) use.node->setInput(use.index, to);
  }
  for (GraphOutput& output : outputs) {
    if (output.value == from) output.value = to;
  }
  for (const auto& variable : variables_) {
    if (variable->next == from) variable->next = to;
  }
}

void Graph::removeVariable(Variable* variable) {
  SIMAQAT_CHECK(useCount(variable->source) == 0, "{}", variable->name);
  variable->source->variable = nullptr;
  variables_.erase(std::find_if(variables_.begin(), variables_.end(),
                                [&](const auto& owned) { return owned.get() == variable; }));
}

void Graph::freezeVariable(Variable* variable) {
  Value* source = variable->source;
  source->constant = variable->value;
  source->variable = nullptr;
  variables_.erase(std::find_if(variables_.begin(), variables_.end(),
                                [&](const auto& owned) { return owned.get() == variable; }));
}

void Graph::rename(Value* value, const std::string& name) {
  if (value->name_ == name) return;
  names_.erase(value->name_);
  value->name_ = uniqueName(name);
  names_[value->name_] = value;
  if (value->variable != nullptr) value->variable->name = value->name_;
}

bool Graph::isOutput(const Value* value) const {
  return std::any_of(outputs.begin(), outputs.end(),
                     [&](const GraphOutput& output) { return output.value == value; });
}

size_t Graph::useCount(const Value* value) const {
  return value->uses_.size() +
         static_cast<size_t>(std::count_if(
             outputs.begin(), outputs.end(),
             [&](const GraphOutput& output) { return output.value == value; }));
}

Value* Graph::findValue(const std::string& name) const {
  const auto it = names_.find(name);
  return it == names_.end() ? nullptr : it->second;
}

Variable* Graph::findVariable(const std::string& name) const {
  Value* value = findValue(name);
  return value == nullptr ? nullptr : value->variable;
}

std::vector<Node*> Graph::nodeSequence() const {
  std::vector<Node*> sequence;
  sequence.reserve(nodes_.size());
  for (const auto& node : nodes_) sequence.push_back(node.get());
  return sequence;
}

void Graph::dropUnused() {
  const auto used = [&](const Value* value) {
    return !value->uses_.empty() || isOutput(value);
  };
  std::vector<Variable*> unused;
  for (const auto& variable : variables_) {
    // What a step only writes, later ones may read: scales that are frozen then.
    if (!used(variable->source) && variable->next == nullptr) unused.push_back(variable.get());
  }
  for (Variable* variable : unused) removeVariable(variable);

  std::unordered_set<const Value*> kept(inputs.begin(), inputs.end());
  std::unordered_set<const Quantizer*> live;
  for (const auto& value : values_) {
    if (value->producer_ != nullptr || used(value.get()) || value->variable != nullptr) {
      live.insert(value->quantizer);
    }
  }
  quantizers_.erase(std::remove_if(quantizers_.begin(), quantizers_.end(),
                                   [&](const auto& quantizer) {
                                     return live.count(quantizer.get()) == 0;
                                   }),
                    quantizers_.end());
  for (const auto& quantizer : quantizers_) {
    kept.insert(quantizer->scale);
    kept.insert(quantizer->zero_point);
  }
  values_.erase(
      std::remove_if(values_.begin(), values_.end(),
                     [&](const auto& value) {
                       const Value* v = value.get();
                       if (v->producer_ != nullptr || v->variable != nullptr || used(v) ||
                           kept.count(v) != 0) {
                         return false;
                       }
                       names_.erase(v->name_);
                       return true;
                     }),
      values_.end());
}

// ---- Graph: copying ------------------------------------------------------------------------

void Graph::copyNode(const Node& node, ValueMap& values, const std::string& prefix) {
  std::vector<Value*> inputs;
  for (Value* input : node.inputs()) inputs.push_back(input == nullptr ? nullptr : values.at(input));
  std::vector<Value*> outputs;
  for (const Value* output : node.outputs()) {
    const bool clash = findValue(output->name()) != nullptr;
    Value* copy = addValue(clash ? prefix + output->name() : output->name());
    copy->type = output->type;
    values[output] = copy;
    outputs.push_back(copy);
  }
  addNodeWithOutputs(node.op(), node.name(), inputs, outputs, node.rawAttributes().clone());
}

std::vector<Value*> Graph::splice(const Graph& other, const std::map<std::string, Value*>& bindings,
                                  const std::string& prefix) {
  ValueMap values;
  for (const Value* input : other.inputs) values[input] = bindings.at(input->name());
  const auto named = [&](const std::string& name) {
    return findValue(name) != nullptr ? prefix + name : name;
  };
  for (const auto& value : other.values_) {
    if (value->variable != nullptr) {
      const Variable& from = *value->variable;
      Variable* to = addVariable(named(from.name), from.role, from.value);
      to->trainable = from.trainable;
      values[value.get()] = to->source;
    } else if (value->isConstant() && value->producer() == nullptr) {
      values[value.get()] = addConstant(named(value->name()), value->constant);
    }
  }
  for (const auto& node : other.nodes_) copyNode(*node, values, prefix);
  for (const auto& variable : other.variables_) {
    if (variable->next == nullptr) continue;
    values.at(variable->source)->variable->next = values.at(variable->next);
  }
  std::unordered_map<const Quantizer*, Quantizer*> quantizers;
  for (const auto& quantizer : other.quantizers_) {
    Quantizer* copy = addQuantizer(quantizer->name, quantizer->spec);
    const auto mapped = [&](const Value* value) -> Value* {
      const auto it = values.find(value);
      return it == values.end() ? nullptr : it->second;
    };
    copy->scale = mapped(quantizer->scale);
    copy->zero_point = mapped(quantizer->zero_point);
    quantizers[quantizer.get()] = copy;
  }
  for (const auto& [from, to] : values) {
    if (from->quantizer != nullptr) to->quantizer = quantizers.at(from->quantizer);
  }
  std::vector<Value*> results;
  for (const GraphOutput& output : other.outputs) results.push_back(values.at(output.value));
  return results;
}

Graph::Graph(const OpRegistry& registry) : registry_(&registry) {}
Graph::Graph(Graph&&) noexcept = default;
Graph& Graph::operator=(Graph&&) noexcept = default;
Graph::~Graph() = default;

Graph Graph::clone() const {
  Graph copy(*registry_);
  copy.name = name;
  copy.metadata = metadata;
  std::map<std::string, Value*> bindings;
  for (const Value* input : inputs) {
    bindings[input->name()] = copy.addInput(input->name(), input->type);
  }
  const std::vector<Value*> results = copy.splice(*this, bindings, "");
  for (size_t i = 0; i < outputs.size(); ++i) copy.outputs.push_back({outputs[i].name, results[i]});
  return copy;
}

}  // namespace simaqat
