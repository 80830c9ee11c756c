// What exporters write about parameters: kinds, and parameters that they merged.
#include <google/protobuf/unknown_field_set.h>
#include <onnx/onnx_pb.h>

#include <algorithm>

#include "qat/onnx/import.h"
#include "qat/ops/registry.h"
#include "tests/catch.h"

namespace simaqat {
namespace {

constexpr int kValueInfoMetadata = 4;
constexpr int kNodeMetadata = 9;
const std::string kKind = "pkg.torch.export.graph_signature.InputSpec.kind";

// As classes older than the field keep it; the bytes are those of newer ones.
template <class Message>
void addMetadata(Message& message, int field, const std::string& key, const std::string& value) {
  onnx::StringStringEntryProto entry;
  entry.set_key(key);
  entry.set_value(value);
  Message extra;
  extra.GetReflection()->MutableUnknownFields(&extra)->AddLengthDelimited(
      field, entry.SerializeAsString());
  message.MergeFromString(extra.SerializeAsString());
}

class ModelText {
 public:
  ModelText() {
    model_.set_ir_version(10);
    model_.add_opset_import()->set_version(18);
    auto* input = graph().add_input();
    input->set_name("x");
    auto* type = input->mutable_type()->mutable_tensor_type();
    type->set_elem_type(onnx::TensorProto::FLOAT);
    type->mutable_shape()->add_dim()->set_dim_param("N");
    type->mutable_shape()->add_dim()->set_dim_value(2);
    graph().add_output()->set_name("y");
  }

  onnx::NodeProto& node(const std::string& op_type, const std::vector<std::string>& inputs,
                        const std::string& output) {
    onnx::NodeProto& node = *graph().add_node();
    node.set_op_type(op_type);
    for (const std::string& name : inputs) node.add_input(name);
    node.add_output(output);
    return node;
  }
  void initializer(const std::string& name, const std::vector<float>& values) {
    onnx::TensorProto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    tensor.add_dims(static_cast<int64_t>(values.size()));
    for (const float value : values) tensor.add_float_data(value);
  }
  void kind(const std::string& name, const std::string& kind, const std::string& placeholder) {
    onnx::ValueInfoProto& info = *graph().add_value_info();
    info.set_name(name);
    addMetadata(info, kValueInfoMetadata, kKind, kind);
    addMetadata(info, kValueInfoMetadata, "pkg.torch.onnx.original_node_name", placeholder);
  }
  Graph import(ImportReport& report) const {
    return importModelBytes(model_.SerializeAsString(), "model.onnx", "", opRegistry(), &report);
  }
  onnx::GraphProto& graph() { return *model_.mutable_graph(); }
  onnx::ModelProto& model() { return model_; }

 private:
  onnx::ModelProto model_;
};

TEST_CASE("the kinds of PyTorch's export are read") {
  ModelText text;
  text.initializer("scale", {2});
  text.initializer("mean", {1, 2});
  text.node("Mul", {"x", "scale"}, "m");
  text.node("Add", {"m", "mean"}, "y");
  text.kind("scale", "PARAMETER", "p_scale");
  text.kind("mean", "BUFFER", "b_mean");
  ImportReport report;
  const Graph graph = text.import(report);
  CHECK(report.stated_parameters == std::map<std::string, bool>{{"scale", true}, {"mean", false}});
  CHECK(graph.findVariable("scale") != nullptr);
}

TEST_CASE("what only sets an operator is no variable, unless the exporter calls it a parameter") {
  for (const bool is_parameter : {false, true}) {
    ModelText text;
    text.initializer("most", {2});
    text.node("Clip", {"x", "", "most"}, "y");
    if (is_parameter) text.kind("most", "PARAMETER", "p_most");
    ImportReport report;
    CHECK((text.import(report).findVariable("most") != nullptr) == is_parameter);
  }
}

TEST_CASE("an Identity of a parameter with one value throughout is a parameter of its own") {
  for (const bool uniform : {true, false}) {
    ModelText text;
    text.initializer("a.bias", uniform ? std::vector<float>{3, 3} : std::vector<float>{3, 4});
    text.node("Identity", {"a.bias"}, "b.bias");
    text.node("Add", {"x", "a.bias"}, "m");
    text.node("Add", {"m", "b.bias"}, "y");
    ImportReport report;
    const Graph graph = text.import(report);
    // Other values are equal on purpose: the two are tied.
    CHECK((graph.findVariable("b.bias") != nullptr) == uniform);
    CHECK(report.separated.size() == (uniform ? 1u : 0u));
  }
}

TEST_CASE("an Identity of an Identity too") {
  ModelText text;
  text.initializer("a.bias", {3, 3});
  text.node("Identity", {"a.bias"}, "b.bias");
  text.node("Identity", {"b.bias"}, "c.bias");
  text.node("Add", {"x", "b.bias"}, "m");
  text.node("Add", {"m", "c.bias"}, "y");
  text.kind("a.bias", "BUFFER", "b_a_bias");
  ImportReport report;
  const Graph graph = text.import(report);
  CHECK(report.separated == std::vector<std::string>{"b.bias", "c.bias"});
  CHECK(report.stated_parameters.at("c.bias") == false);
}

TEST_CASE("parameters that the dynamo exporter merged have their modules' names again") {
  ModelText text;
  text.initializer("norms.0.weight", {1, 1});
  text.initializer("norms.0.bias", {1, 1});
  text.kind("norms.0.weight", "PARAMETER", "p_norms_0_weight");
  text.kind("norms.0.bias", "PARAMETER", "p_norms_0_bias");
  const auto normalize = [&](const std::string& x, const std::string& y, const std::string& path) {
    std::string mangled = path;
    std::replace(mangled.begin(), mangled.end(), '.', '_');
    onnx::NodeProto& node =
        text.node("LayerNormalization", {x, "norms.0.weight", "norms.0.bias"}, y);
    addMetadata(node, kNodeMetadata, "pkg.torch.onnx.fx_node",
                "%n : [num_users=1] = call_function[target=torch.ops.aten.layer_norm.default]"
                "(args = (%x, [2], %p_" +
                    mangled + "_weight, %p_" + mangled + "_bias), kwargs = {})");
    addMetadata(node, kNodeMetadata, "pkg.torch.onnx.name_scopes",
                "['', 'norms', '" + path + "', 'layer_norm']");
  };
  normalize("x", "m", "norms.0");
  normalize("m", "n", "norms.1");
  // A module that is used twice stays one.
  normalize("n", "y", "norms.1");
  ImportReport report;
  const Graph graph = text.import(report);
  CHECK(report.separated == std::vector<std::string>{"norms.1.bias", "norms.1.weight"});
  CHECK(graph.findVariable("norms.1.weight")->source->uses().size() == 2);
  CHECK(graph.findVariable("norms.0.bias")->source->uses().size() == 1);
}

TEST_CASE("a file may list its parameters") {
  ModelText text;
  text.initializer("most", {2});
  text.node("Clip", {"x", "", "most"}, "y");
  auto* entry = text.model().add_metadata_props();
  entry->set_key("simaqat.parameters");
  entry->set_value(" most\r\nother\n");
  ImportReport report;
  const Graph graph = text.import(report);
  CHECK(graph.findVariable("most") != nullptr);
  CHECK(listedParameters(graph) == std::set<std::string>{"most", "other"});
}

}  // namespace
}  // namespace simaqat
