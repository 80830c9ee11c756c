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

void Variable::setNext(Value* value) {
  if (next_ != nullptr) {
    auto& of = next_->next_of_;
    of.erase(std::find(of.begin(), of.end(), this));
  }
  next_ = value;
  if (value != nullptr) value->next_of_.push_back(this);
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
    // From the end, where the last one that was added stands: some values have thousands of uses.
    auto& uses = old->uses_;
    const auto use = std::find_if(uses.rbegin(), uses.rend(),
                                  [&](const Use& u) { return u.node == this && u.index == i; });
    uses.erase(std::next(use).base());
  }
  inputs_[i] = value;
  if (value != nullptr) value->uses_.push_back({this, i});
  while (!inputs_.empty() && inputs_.back() == nullptr) inputs_.pop_back();
}

// ---- Graph: adding -------------------------------------------------------------------------

std::string Graph::uniqueName(const std::string& base) const {
  if (!base.empty() && names_.count(base) == 0) return base;
  for (size_t& k = least_numbers_.emplace(base, 1).first->second;; ++k) {
    std::string name = fmt::format("{}.{}", base, k);
    if (names_.count(name) == 0) return name;
  }
}

void Graph::forgetName(const std::string& name) {
  names_.erase(name);
  const size_t dot = name.rfind('.');
  if (dot == std::string::npos) return;
  const auto numbered = least_numbers_.find(name.substr(0, dot));
  if (numbered == least_numbers_.end()) return;
  const std::string number = name.substr(dot + 1);
  const bool is_number =
      !number.empty() && number.size() < 10 &&
      std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (is_number) numbered->second = std::min<size_t>(numbered->second, std::stoul(number));
}

Value* Graph::addValue(const std::string& name) {
  values_.push_back(std::make_unique<Value>());
  Value* value = values_.back().get();
  value->id_ = next_value_id_++;
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
    SIMAQAT_CHECK(output->next_of_.empty(), "{} is a variable's next value", output->name());
    output->producer_ = nullptr;
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
  while (!from->next_of_.empty() && from != to) from->next_of_.front()->setNext(to);
}

void Graph::removeVariable(Variable* variable) {
  SIMAQAT_CHECK(useCount(variable->source) == 0, "{}", variable->name);
  variable->source->variable = nullptr;
  eraseVariable(variable);
}

void Graph::eraseVariable(Variable* variable) {
  variable->setNext(nullptr);
  // From the end, from which whoever removes them all goes.
  const auto it = std::find_if(variables_.rbegin(), variables_.rend(),
                               [&](const auto& owned) { return owned.get() == variable; });
  variables_.erase(std::next(it).base());
}

void Graph::freezeVariable(Variable* variable) {
  Value* source = variable->source;
  source->constant = variable->value;
  source->variable = nullptr;
  eraseVariable(variable);
}

void Graph::rename(Value* value, const std::string& name) {
  if (value->name_ == name) return;
  forgetName(value->name_);
  value->name_ = uniqueName(name);
  names_[value->name_] = value;
  if (value->variable != nullptr) value->variable->name = value->name_;
}

bool Graph::isOutput(const Value* value) const {
  return std::any_of(outputs.begin(), outputs.end(),
                     [&](const GraphOutput& output) { return output.value == value; });
}

size_t Graph::useCount(const Value* value) const {
  return value->uses_.size() + static_cast<size_t>(std::count_if(outputs.begin(), outputs.end(),
                                                                 [&](const GraphOutput& output) {
                                                                   return output.value == value;
                                                                 }));
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
  const auto used = [&](const Value* value) { return !value->uses_.empty() || isOutput(value); };
  const auto is_unused = [&](const auto& variable) {
    // What a step only writes, later ones may read: scales that are frozen then.
    const bool unused = !used(variable->source) && variable->next() == nullptr;
    if (unused) variable->source->variable = nullptr;
    return unused;
  };
  variables_.erase(std::remove_if(variables_.begin(), variables_.end(), is_unused),
                   variables_.end());

  std::unordered_set<const Value*> kept(inputs.begin(), inputs.end());
  std::unordered_set<const Quantizer*> live;
  for (const auto& value : values_) {
    if (value->producer_ != nullptr || used(value.get()) || value->variable != nullptr) {
      live.insert(value->quantizer);
    }
  }
  quantizers_.erase(
      std::remove_if(quantizers_.begin(), quantizers_.end(),
                     [&](const auto& quantizer) { return live.count(quantizer.get()) == 0; }),
      quantizers_.end());
  for (const auto& quantizer : quantizers_) {
    kept.insert(quantizer->scale);
    kept.insert(quantizer->zero_point);
  }
  values_.erase(std::remove_if(values_.begin(), values_.end(),
                               [&](const auto& value) {
                                 const Value* v = value.get();
                                 if (v->producer_ != nullptr || v->variable != nullptr || used(v) ||
                                     !v->next_of_.empty() || kept.count(v) != 0) {
                                   return false;
                                 }
                                 forgetName(v->name_);
                                 return true;
                               }),
                values_.end());
}

// ---- Graph: copying ------------------------------------------------------------------------

void Graph::copyNode(const Node& node, ValueMap& values, const std::string& prefix) {
  std::vector<Value*> inputs;
  for (Value* input : node.inputs())
    inputs.push_back(input == nullptr ? nullptr : values.at(input));
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
    if (variable->next() == nullptr) continue;
    values.at(variable->source)->variable->setNext(values.at(variable->next()));
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
