// Model-local functions and the branches of If become nodes of the graph.
#include <google/protobuf/unknown_field_set.h>
#include <onnx/onnx_pb.h>

#include "qat/ir/op.h"
#include "qat/onnx/import.h"
#include "qat/ops/registry.h"
#include "tests/catch.h"

namespace simaqat {
namespace {

using Catch::Matchers::ContainsSubstring;

template <class Owner>
onnx::NodeProto* addNode(Owner& owner, const std::string& op_type,
                         const std::vector<std::string>& inputs,
                         const std::vector<std::string>& outputs) {
  onnx::NodeProto* node = owner.add_node();
  node->set_op_type(op_type);
  for (const std::string& input : inputs) node->add_input(input);
  for (const std::string& output : outputs) node->add_output(output);
  return node;
}

onnx::AttributeProto floatAttribute(const std::string& name, float value) {
  onnx::AttributeProto attribute;
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::FLOAT);
  attribute.set_f(value);
  return attribute;
}

// An attribute that takes the function's attribute `from`.
void refer(onnx::NodeProto& node, const std::string& name, const std::string& from) {
  onnx::AttributeProto* attribute = node.add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::FLOAT);
  attribute->set_ref_attr_name(from);
}

// A model of x and y, both float[2], with room for functions of domain "f".
onnx::ModelProto emptyModel() {
  onnx::ModelProto model;
  model.set_ir_version(8);
  auto* standard = model.add_opset_import();
  standard->set_version(17);
  auto* functions = model.add_opset_import();
  functions->set_domain("f");
  functions->set_version(1);
  for (onnx::ValueInfoProto* info :
       {model.mutable_graph()->add_input(), model.mutable_graph()->add_output()}) {
    auto* tensor = info->mutable_type()->mutable_tensor_type();
    tensor->set_elem_type(onnx::TensorProto::FLOAT);
    tensor->mutable_shape()->add_dim()->set_dim_value(2);
  }
  model.mutable_graph()->mutable_input(0)->set_name("x");
  model.mutable_graph()->mutable_output(0)->set_name("y");
  return model;
}

onnx::FunctionProto& addFunction(onnx::ModelProto& model, const std::string& name, int opset,
                                 const std::vector<std::string>& inputs,
                                 const std::vector<std::string>& outputs) {
  onnx::FunctionProto* function = model.add_functions();
  function->set_name(name);
  function->set_domain("f");
  function->add_opset_import()->set_version(opset);
  for (const std::string& input : inputs) function->add_input(input);
  for (const std::string& output : outputs) function->add_output(output);
  return *function;
}

Graph import(const onnx::ModelProto& model) {
  return importModelBytes(model.SerializeAsString(), "model.onnx", "", opRegistry());
}

// y of the imported graph for x = [-3, 3].
std::vector<float> run(const onnx::ModelProto& model) {
  const Graph graph = import(model);
  ThreadPool pool(1);
  std::map<const Value*, Tensor> values;
  values[graph.inputs[0]] = Tensor::of<float>({2}, {-3, 3});
  const auto tensorOf = [&](const Value* value) {
    if (value == nullptr) return Tensor();
    if (value->variable != nullptr) return value->variable->value;
    return value->isConstant() ? value->constant : values.at(value);
  };
  for (const auto& node : graph.nodes()) {
    std::vector<Tensor> inputs;
    for (const Value* input : node->inputs()) inputs.push_back(tensorOf(input));
    const std::vector<Tensor> outputs = evaluateOnHost(graph, *node, inputs, pool);
    for (size_t i = 0; i < outputs.size(); ++i) values[node->output(i)] = outputs[i];
  }
  return tensorOf(graph.outputs[0].value).toVector<float>();
}

using Floats = std::vector<float>;

// Leak: LeakyRelu with the attribute `slope`, then its negative as a second output.
onnx::FunctionProto& addLeak(onnx::ModelProto& model) {
  onnx::FunctionProto& leak = addFunction(model, "Leak", 17, {"a"}, {"b", "c"});
  leak.add_attribute("slope");
  refer(*addNode(leak, "LeakyRelu", {"a"}, {"b"}), "alpha", "slope");
  addNode(leak, "Neg", {"b"}, {"c"});
  return leak;
}

onnx::NodeProto* call(onnx::ModelProto& model, const std::string& function,
                      const std::vector<std::string>& inputs,
                      const std::vector<std::string>& outputs) {
  onnx::NodeProto* node = addNode(*model.mutable_graph(), function, inputs, outputs);
  node->set_domain("f");
  return node;
}

void addBranch(onnx::NodeProto& node, const std::string& name, const std::string& op_type,
               float initial) {
  onnx::AttributeProto* attribute = node.add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::GRAPH);
  onnx::GraphProto& branch = *attribute->mutable_g();
  onnx::TensorProto* tensor = branch.add_initializer();
  tensor->set_name("w");
  tensor->set_data_type(onnx::TensorProto::FLOAT);
  tensor->add_dims(2);
  tensor->add_float_data(initial);
  tensor->add_float_data(initial);
  addNode(branch, op_type, {"x", "w"}, {"inner"});
  branch.add_output()->set_name("inner");
}

onnx::NodeProto* addIf(onnx::ModelProto& model, const std::string& condition,
                       const std::string& output) {
  onnx::NodeProto* node = addNode(*model.mutable_graph(), "If", {condition}, {output});
  addBranch(*node, "then_branch", "Add", 10);
  addBranch(*node, "else_branch", "Sub", 1);
  return node;
}

onnx::AttributeProto integerAttribute(const std::string& name, int64_t value) {
  onnx::AttributeProto attribute;
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::INT);
  attribute.set_i(value);
  return attribute;
}

void addIntegers(onnx::ModelProto& model, const std::string& name,
                 const std::vector<int64_t>& values) {
  onnx::TensorProto* tensor = model.mutable_graph()->add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(onnx::TensorProto::INT64);
  tensor->add_dims(static_cast<int64_t>(values.size()));
  for (const int64_t value : values) tensor->add_int64_data(value);
}

void addCondition(onnx::ModelProto& model, bool value) {
  onnx::TensorProto* tensor = model.mutable_graph()->add_initializer();
  tensor->set_name("condition");
  tensor->set_data_type(onnx::TensorProto::BOOL);
  tensor->add_int32_data(value ? 1 : 0);
}

}  // namespace

TEST_CASE("a function's body takes the call's place, with its attributes") {
  onnx::ModelProto model = emptyModel();
  addLeak(model);
  *call(model, "Leak", {"x"}, {"h"})->add_attribute() = floatAttribute("slope", 0.5f);
  *call(model, "Leak", {"h"}, {"", "y"})->add_attribute() = floatAttribute("slope", 0.1f);
  CHECK(run(model)[0] == 0.15f);
  CHECK(run(model)[1] == -3.0f);
}

TEST_CASE("an attribute that nobody gives has the operator's default") {
  onnx::ModelProto model = emptyModel();
  addLeak(model);
  call(model, "Leak", {"x"}, {"y"});
  CHECK(run(model) == Floats{-0.03f, 3});
}

TEST_CASE("a function's default is a field newer than the installed classes") {
  onnx::ModelProto model = emptyModel();
  onnx::FunctionProto& leak = addLeak(model);
  leak.clear_attribute();
  leak.mutable_unknown_fields()->AddLengthDelimited(
      11, floatAttribute("slope", 0.25f).SerializeAsString());
  call(model, "Leak", {"x"}, {"h"});
  *call(model, "Leak", {"h"}, {"y"})->add_attribute() = floatAttribute("slope", 2.0f);
  CHECK(run(model) == Floats{-1.5f, 3});
}

TEST_CASE("functions call functions, each with an opset of its own") {
  onnx::ModelProto model = emptyModel();
  addLeak(model);
  // Opset 10 has Clip's bounds as attributes.
  onnx::FunctionProto& outer = addFunction(model, "Outer", 10, {"p", "unused"}, {"q", "p2"});
  onnx::NodeProto* clip = addNode(outer, "Clip", {"p"}, {"clipped"});
  *clip->add_attribute() = floatAttribute("min", -2);
  *clip->add_attribute() = floatAttribute("max", 1);
  onnx::NodeProto* inner = addNode(outer, "Leak", {"clipped"}, {"q"});
  inner->set_domain("f");
  refer(*inner, "slope", "by");
  outer.add_attribute("by");
  addNode(outer, "Identity", {"q"}, {"p2"});
  *call(model, "Outer", {"x"}, {"y"})->add_attribute() = floatAttribute("by", 0.5f);
  CHECK(run(model) == Floats{-1, 1});
}

TEST_CASE("an output of a function may be one of its inputs") {
  onnx::ModelProto model = emptyModel();
  addFunction(model, "Same", 17, {"a"}, {"a"});
  call(model, "Same", {"x"}, {"y"});
  CHECK(run(model) == Floats{-3, 3});
}

TEST_CASE("overloads of a function are told apart") {
  onnx::ModelProto model = emptyModel();
  for (const std::string op_type : {"Abs", "Neg"}) {
    onnx::FunctionProto& function = addFunction(model, "One", 17, {"a"}, {"b"});
    function.mutable_unknown_fields()->AddLengthDelimited(13, op_type);
    addNode(function, op_type, {"a"}, {"b"});
  }
  call(model, "One", {"x"}, {"y"})->mutable_unknown_fields()->AddLengthDelimited(8, "Neg");
  CHECK(run(model) == Floats{3, -3});
}

TEST_CASE("a function that calls itself, or is called wrongly, is an error") {
  onnx::ModelProto model = emptyModel();
  onnx::FunctionProto& loop = addFunction(model, "Loop", 17, {"a"}, {"b"});
  addNode(loop, "Loop", {"a"}, {"b"})->set_domain("f");
  call(model, "Loop", {"x"}, {"y"});
  CHECK_THROWS_WITH(import(model), ContainsSubstring("f::Loop 'y': the function calls itself"));

  onnx::ModelProto wrong = emptyModel();
  addLeak(wrong);
  call(wrong, "Leak", {"x", "x"}, {"y"});
  CHECK_THROWS_WITH(import(wrong), ContainsSubstring("f::Leak 'y': expected at most 1 inputs"));
}

TEST_CASE("an If with a known condition is the branch that it takes") {
  for (const bool condition : {true, false}) {
    onnx::ModelProto model = emptyModel();
    addCondition(model, condition);
    addIf(model, "condition", "y");
    CHECK(run(model) == (condition ? Floats{7, 13} : Floats{-4, 2}));
    CHECK(import(model).findVariable("w") != nullptr);
  }
}

TEST_CASE("a condition may follow from constants and shapes, and names of branches may repeat") {
  onnx::ModelProto model = emptyModel();
  addCondition(model, true);
  addNode(*model.mutable_graph(), "Not", {"condition"}, {"not"});
  addIf(model, "condition", "a");
  addIf(model, "not", "b");
  addNode(*model.mutable_graph(), "Mul", {"a", "b"}, {"y"});
  CHECK(run(model) == Floats{-28, 26});
}

TEST_CASE("an If that depends on data is an error that names it") {
  onnx::ModelProto model = emptyModel();
  addNode(*model.mutable_graph(), "Cast", {"x"}, {"condition"});
  *model.mutable_graph()->mutable_node(0)->add_attribute() =
      integerAttribute("to", onnx::TensorProto::BOOL);
  addIf(model, "condition", "y")->set_name("choice");
  CHECK_THROWS_WITH(import(model),
                    ContainsSubstring("If 'choice': the condition 'condition' depends on data"));
}

TEST_CASE("a condition that compares a known dimension beside an open one") {
  onnx::ModelProto model = emptyModel();
  auto* shape = model.mutable_graph()
                    ->mutable_input(0)
                    ->mutable_type()
                    ->mutable_tensor_type()
                    ->mutable_shape();
  shape->add_dim()->set_dim_param("N");
  addIntegers(model, "one", {1});
  addIntegers(model, "two", {2});
  addNode(*model.mutable_graph(), "Shape", {"x"}, {"shape"});
  addNode(*model.mutable_graph(), "Concat", {"two", "shape"}, {"both"})
      ->add_attribute()
      ->CopyFrom(integerAttribute("axis", 0));
  addNode(*model.mutable_graph(), "Gather", {"both", "one"}, {"dimension"});
  addNode(*model.mutable_graph(), "Equal", {"dimension", "two"}, {"condition"});
  addIf(model, "condition", "y");
  CHECK(import(model).nodes().back()->opType() == "Add");
  // The open one is not known.
  model.mutable_graph()->mutable_node(2)->set_input(1, "two");
  CHECK_THROWS_WITH(import(model),
                    ContainsSubstring("If 'y': the condition 'condition' depends on"));
}

}  // namespace simaqat
