// The one graph of simaqat: model, loss, backward pass and update alike.
//
// A Graph owns Values (each defined once), Nodes in an order in which every value is defined before
// it is used, Variables (all the state there is) and Quantizers. Names are the user's; what a pass
// adds takes its name from what it came from.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "qat/ir/attributes.h"
#include "qat/ir/quantizer.h"
#include "qat/ir/types.h"

namespace simaqat {

class Graph;
class Node;
class OpRegistry;
class Value;
struct OpDefinition;

enum class VariableRole {
  kWeight,              // an initializer of the source: trainable or not
  kBatchNormStatistic,  // running mean or variance
  kObserverRange,       // lower or upper end of an observed range
  kQuantizerScale,      // scale or zero point that follows from a range
  kMomentum,            // the optimizer's, one for each trained weight
};
const char* variableRoleName(VariableRole role);

// State that lives from step to step. `next()` is its value after the step, null where it stays.
struct Variable {
  std::string name;
  VariableRole role = VariableRole::kWeight;
  Tensor value;
  Value* source = nullptr;
  Value* next() const { return next_; }
  void setNext(Value* value);
  bool trainable = false;

 private:
  Value* next_ = nullptr;
};

// What quantizes a value. The parameters are values while training and constants once finalized.
struct Quantizer {
  std::string name;
  QuantizerSpec spec;
  Value* scale = nullptr;
  Value* zero_point = nullptr;
};

struct Use {
  Node* node;
  size_t index;
};

class Value {
 public:
  const std::string& name() const { return name_; }
  // Its own in its graph, less than Graph::valueIds(): the index for tables of values.
  size_t id() const { return id_; }
  TensorType type;
  // Set where the value is known when compiling: an initializer that is no variable, or folded.
  Tensor constant;
  // The variable whose current value this is, or null.
  Variable* variable = nullptr;
  // The quantizer whose grid this value lies on, or null.
  Quantizer* quantizer = nullptr;

  Node* producer() const { return producer_; }
  size_t outputIndex() const { return output_index_; }
  const std::vector<Use>& uses() const { return uses_; }
  bool isConstant() const { return constant.defined(); }

 private:
  friend class Graph;
  friend class Node;
  friend struct Variable;
  std::string name_;
  size_t id_ = 0;
  Node* producer_ = nullptr;
  size_t output_index_ = 0;
  std::vector<Use> uses_;
  std::vector<Variable*> next_of_;  // the variables whose next value this is
};

class Node {
 public:
  const OpDefinition& op() const { return *op_; }
  const std::string& opType() const;
  const std::string& name() const { return name_; }

  // Absent optional inputs are null; trailing ones are not stored.
  size_t inputCount() const { return inputs_.size(); }
  Value* input(size_t i) const { return i < inputs_.size() ? inputs_[i] : nullptr; }
  const std::vector<Value*>& inputs() const { return inputs_; }
  void setInput(size_t i, Value* value);

  size_t outputCount() const { return outputs_.size(); }
  Value* output(size_t i = 0) const { return i < outputs_.size() ? outputs_[i] : nullptr; }
  const std::vector<Value*>& outputs() const { return outputs_; }

  template <class S>
  const S& attributes() const {
    return const_cast<Node*>(this)->mutableAttributes<S>();
  }
  template <class S>
  S& mutableAttributes() {
    SIMAQAT_CHECK(attributes_->type() == typeid(S), "{}", describe());
    return *static_cast<S*>(attributes_->data());
  }
  Attributes& rawAttributes() const { return *attributes_; }

  // "Conv 'layer1.0.conv1'"
  std::string describe() const;
  // An input Error that names the node: "Conv 'layer1.0.conv1' input 1: expected ...".
  template <class... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw inputError("{} {}", describe(), fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  friend class Graph;
  const OpDefinition* op_ = nullptr;
  std::string name_;
  std::vector<Value*> inputs_;
  std::vector<Value*> outputs_;
  std::unique_ptr<Attributes> attributes_;
  std::list<std::unique_ptr<Node>>::iterator position_;
};

// A graph output keeps the user's name whatever value it is bound to.
struct GraphOutput {
  std::string name;
  Value* value;
};

class Graph {
 public:
  using NodeList = std::list<std::unique_ptr<Node>>;

  explicit Graph(const OpRegistry& registry);
  Graph(Graph&&) noexcept;
  Graph& operator=(Graph&&) noexcept;
  ~Graph();

  const OpRegistry& registry() const { return *registry_; }
  std::string name;
  // ONNX metadata_props, simaqat's stage and provenance among them.
  std::map<std::string, std::string> metadata;
  std::vector<Value*> inputs;
  std::vector<GraphOutput> outputs;

  Value* addInput(const std::string& name, TensorType type);
  Value* addConstant(const std::string& name, Tensor tensor);
  Variable* addVariable(const std::string& name, VariableRole role, Tensor tensor);
  Quantizer* addQuantizer(const std::string& name, QuantizerSpec spec);
  // A value that nothing defines yet: what import needs before it has seen the producer.
  Value* addValue(const std::string& name);

  // Adds a node in front of `before` (null: at the end) and infers its output types. `op_type` is a
  // name of the registry, "FakeQuantize" or "simaqat::FakeQuantize" where the domain is not ONNX's.
  // Names of outputs are made unique from `name` where `output_names` gives none.
  struct NodeOptions {
    Node* before = nullptr;
    std::vector<std::string> output_names = {};
    size_t output_count = 1;
  };
  Node* addNode(const std::string& op_type, const std::string& name,
                const std::vector<Value*>& inputs, std::unique_ptr<Attributes> attributes,
                const NodeOptions& options);
  // The same with one output, which it returns.
  Value* add(const std::string& op_type, const std::string& name, const std::vector<Value*>& inputs,
             std::unique_ptr<Attributes> attributes = nullptr, Node* before = nullptr);
  template <class S, class = std::enable_if_t<std::is_class_v<S>>>
  Value* add(const std::string& op_type, const std::string& name, const std::vector<Value*>& inputs,
             S attributes, Node* before = nullptr) {
    return add(op_type, name, inputs, wrapAttributes(std::move(attributes)), before);
  }
  // Binds already added values as the outputs of a new node; for import. Infers nothing.
  Node* addNodeWithOutputs(const OpDefinition& op, const std::string& name,
                           const std::vector<Value*>& inputs, const std::vector<Value*>& outputs,
                           std::unique_ptr<Attributes> attributes);

  // Sets the types of the node's outputs by its definition's rule.
  void inferTypes(Node& node);

  // Removes a node none of whose outputs is used.
  void removeNode(Node* node);
  // Every use of `from`, as graph output and as a variable's next value too, becomes one of `to`;
  // with a node in `except`, that node's own uses stay.
  void replaceUses(Value* from, Value* to, const Node* except = nullptr);
  void removeVariable(Variable* variable);
  // Turns a variable into a constant of its present value.
  void freezeVariable(Variable* variable);
  void rename(Value* value, const std::string& name);

  bool isOutput(const Value* value) const;
  // Nodes and graph outputs that use the value.
  size_t useCount(const Value* value) const;
  // Null where there is none.
  Value* findValue(const std::string& name) const;
  Variable* findVariable(const std::string& name) const;
  // `base`, or `base` with the least number behind it that makes it new.
  std::string uniqueName(const std::string& base) const;

  NodeList& nodes() { return nodes_; }
  const NodeList& nodes() const { return nodes_; }
  // The nodes as they are now, safe to walk while adding and removing.
  std::vector<Node*> nodeSequence() const;
  const std::vector<std::unique_ptr<Variable>>& variables() const { return variables_; }
  const std::vector<std::unique_ptr<Quantizer>>& quantizers() const { return quantizers_; }
  const std::vector<std::unique_ptr<Value>>& values() const { return values_; }
  size_t valueIds() const { return next_value_id_; }
  // Drops values that nothing defines or uses, variables that nothing reads or writes, and unused
  // quantizers.
  void dropUnused();

  Graph clone() const;

  // Copies the nodes of `other` into this graph, in front of nothing. `bindings` gives for inputs
  // of `other` the values of this graph to use; names that exist get `prefix` in front. Returns for
  // each output of `other` the value here.
  std::vector<Value*> splice(const Graph& other, const std::map<std::string, Value*>& bindings,
                             const std::string& prefix);

 private:
  void eraseVariable(Variable* variable);
  void forgetName(const std::string& name);
  Node* insertNode(const OpDefinition& op, const std::string& name, Node* before);
  using ValueMap = std::unordered_map<const Value*, Value*>;
  void copyNode(const Node& node, ValueMap& values, const std::string& prefix);

  const OpRegistry* registry_;
  NodeList nodes_;
  std::vector<std::unique_ptr<Value>> values_;
  size_t next_value_id_ = 0;
  std::vector<std::unique_ptr<Variable>> variables_;
  std::vector<std::unique_ptr<Quantizer>> quantizers_;
  std::unordered_map<std::string, Value*> names_;
  // For a base of names that are numbered: no number below is free.
  mutable std::unordered_map<std::string, size_t> least_numbers_;
};

}  // namespace simaqat
