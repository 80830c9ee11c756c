// Inputs and outputs of other floating-point types than float32; files that say too little.
#include "qat/onnx/export.h"
#include "qat/onnx/import.h"
#include "qat/ops/registry.h"
#include "qat/train/model.h"
#include "tests/catch.h"
#include "tests/cli/run.h"
#include "tests/cli/samples.h"

namespace simaqat {
namespace {

using Catch::Matchers::ContainsSubstring;

int typeOf(const onnx::ValueInfoProto& info) { return info.type().tensor_type().elem_type(); }

// x to "inner" to y, both of that type, and an output of integers.
onnx::ModelProto modelOf(int element_type) {
  onnx::ModelProto model = cli::emptyModel();
  cli::addInput(model, "x", element_type, {"N", "4"});
  cli::addNode(model, "Relu", {"x"}, {"x/float"});
  cli::addNode(model, "Neg", {"x/float"}, {"y"});
  cli::addNode(model, "Shape", {"x/float"}, {"n"});
  cli::addOutput(model, "y");
  cli::addOutput(model, "n");
  model.mutable_graph()->mutable_output(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
      element_type);
  model.mutable_graph()->mutable_output(1)->mutable_type()->mutable_tensor_type()->set_elem_type(
      onnx::TensorProto::INT64);
  return model;
}

}  // namespace

TEST_CASE("types at the border come back by Casts, whatever the values are called") {
  for (const int type :
       {onnx::TensorProto::FLOAT16, onnx::TensorProto::BFLOAT16, onnx::TensorProto::DOUBLE}) {
    INFO(type);
    const std::string path = cli::save(modelOf(type), cli::scratch("border.onnx"));
    const Model model = loadModel(path);
    CHECK(model.graph.inputs[0]->type.element == ElementType::kFloat);
    REQUIRE(!model.warnings.empty());
    CHECK_THAT(model.warnings.back(), ContainsSubstring("float32") && ContainsSubstring("x ("));
    for (const bool keep : {true, false}) {
      ExportOptions options;
      options.keep_border_types = keep;
      const std::string exported = cli::scratch("border-exported.onnx");
      exportModel(model.graph, exported, options);
      const onnx::GraphProto graph = cli::load(exported).graph();
      CHECK(typeOf(graph.input(0)) == (keep ? type : int{onnx::TensorProto::FLOAT}));
      CHECK(typeOf(graph.output(0)) == (keep ? type : int{onnx::TensorProto::FLOAT}));
      CHECK(typeOf(graph.output(1)) == onnx::TensorProto::INT64);
      CHECK(graph.node_size() == (keep ? 5 : 3));
      CHECK(graph.input(0).name() == "x");
      CHECK(graph.output(0).name() == "y");
      // It is read again as the same network.
      const Graph again = importModel(exported, opRegistry());
      CHECK(again.outputs[0].name == "y");
    }
  }
}

TEST_CASE("an input that is an output is cast once on each side") {
  onnx::ModelProto model = cli::emptyModel();
  cli::addInput(model, "x", onnx::TensorProto::FLOAT16, {"N", "4"});
  cli::addNode(model, "Identity", {"x"}, {"same"});
  cli::addOutput(model, "same");
  model.mutable_graph()->mutable_output(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
      onnx::TensorProto::FLOAT16);
  const Model read = loadModel(cli::save(model, cli::scratch("same.onnx")));
  ExportOptions options;
  options.keep_border_types = true;
  exportModel(read.graph, cli::scratch("same-exported.onnx"), options);
  const onnx::GraphProto graph = cli::load(cli::scratch("same-exported.onnx")).graph();
  REQUIRE(graph.node_size() == 3);
  CHECK(graph.node(0).op_type() == "Cast");
  CHECK(graph.node(2).op_type() == "Cast");
}

TEST_CASE("a file without an opset of the standard domain says so") {
  onnx::ModelProto model = modelOf(onnx::TensorProto::FLOAT);
  model.clear_opset_import();
  const std::string path = cli::save(model, cli::scratch("no-opset.onnx"));
  CHECK_THROWS_WITH(importModel(path, opRegistry()), ContainsSubstring("opset_import is empty"));
  auto* other = model.add_opset_import();
  other->set_domain("ai.onnx.ml");
  other->set_version(3);
  cli::save(model, path);
  CHECK_THROWS_WITH(importModel(path, opRegistry()),
                    ContainsSubstring("standard domain") && ContainsSubstring("ai.onnx.ml"));
}

TEST_CASE("operators are listed, supported or not") {
  onnx::ModelProto model = modelOf(onnx::TensorProto::FLOAT);
  cli::addNode(model, "Unheard", {"y"}, {"z"});
  const std::string path = cli::save(model, cli::scratch("unheard.onnx"));
  const auto uses = operatorsOf(path, opRegistry());
  REQUIRE(uses.size() == 4);
  CHECK(uses.at("Relu").is_supported);
  CHECK(uses.at("Unheard").nodes == 1);
  CHECK(!uses.at("Unheard").is_supported);
  const cli::Result result = cli::runWell({"inspect", path});
  CHECK_THAT(result.out, ContainsSubstring("Unheard") && ContainsSubstring("Relu"));
  CHECK_THAT(result.err, ContainsSubstring("1 of 4 operators are not supported"));
}

}  // namespace simaqat
