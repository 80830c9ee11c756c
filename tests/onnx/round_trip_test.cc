// What is written is read again as the same graph.
#include <onnx/checker.h>
#include <onnx/defs/schema.h>

#include <filesystem>
#include <set>
#include <sstream>

#include "qat/base/file.h"
#include "qat/ir/op.h"
#include "qat/ir/parser.h"
#include "qat/ir/printer.h"
#include "qat/onnx/check.h"
#include "qat/onnx/export.h"
#include "qat/onnx/opset.h"
#include "qat/onnx/import.h"
#include "qat/ops/registry.h"
#include "qat/passes/bind_quantizers.h"
#include "qat/passes/canonicalize.h"
#include "qat/passes/finalize.h"
#include "qat/passes/refresh_quantizers.h"
#include "qat/passes/scaffold.h"
#include "qat/train/model.h"
#include "tests/catch.h"

namespace simaqat {
namespace {

namespace fs = std::filesystem;
using Catch::Matchers::ContainsSubstring;

constexpr char kModel[] = "testdata/fashion_cnn/model.onnx";

Graph reimported(const Graph& graph, int opset) {
  return importModelBytes(serializeModel(graph, opset), "bytes", "", opRegistry());
}

bool sameTensors(const Graph& a, const Graph& b) {
  for (const auto& variable : a.variables()) {
    const Variable* other = b.findVariable(variable->name);
    if (other == nullptr || !other->value.identical(variable->value)) return false;
  }
  return a.variables().size() == b.variables().size();
}

// The first line of `got` that differs, so that a failure can be read.
std::string firstDifference(const std::string& got, const std::string& expected) {
  std::istringstream left(got);
  std::istringstream right(expected);
  std::string a;
  std::string b;
  while (std::getline(left, a) && std::getline(right, b)) {
    if (a != b) return a + "\ninstead of\n" + b;
  }
  return got.size() == expected.size() ? "" : "one is longer";
}

// A failed comparison of strings would print them.
bool sameBytes(const std::string& a, const std::string& b) { return a == b; }

// Ranges as if something had been observed.
void setRanges(Graph& graph) {
  for (const auto& variable : graph.variables()) {
    if (variable->role != VariableRole::kObserverRange) continue;
    const bool low = variable->name.find("range_min") != std::string::npos;
    *variable->value.mutableData<float>() = low ? -0.5f : 2.0f;
  }
  refreshQuantizers(graph);
}

// The checker of the installed library; true where it does not know the opset.
bool accepted(const std::string& bytes, int opset) {
  if (opset > onnx::OpSchemaRegistry::DomainToVersionRange::Instance().Map().at("").second) {
    return true;
  }
  onnx::ModelProto model;
  if (!model.ParseFromString(bytes)) return false;
  onnx::checker::check_model(model);
  return true;
}

TEST_CASE("the quickstart's model comes back as it is") {
  const Graph graph = importModel(kModel, opRegistry());
  const Graph again = reimported(graph, 17);
  CHECK(firstDifference(toText(again), toText(graph)) == "");
  CHECK(sameTensors(graph, again));
  CHECK(toText(parseText(toText(graph), opRegistry())) == toText(graph));
  CHECK(sameBytes(serializeModel(graph, 17), serializeModel(again, 17)));
}

TEST_CASE("a scaffolded file comes back as the same graph") {
  Model model = loadModel(kModel);
  scaffold(model.graph, {});
  setRanges(model.graph);
  setStage(model.graph, Stage::kPrepared);
  const std::string bytes = serializeModel(model.graph, 17);
  CHECK(accepted(bytes, 17));
  Graph again = importModelBytes(bytes, "bytes", "", opRegistry());
  canonicalize(again, BatchNormPolicy::kAsIs);
  bindQuantizers(again);
  CHECK(firstDifference(toText(again), toText(model.graph)) == "");
  CHECK(sameTensors(model.graph, again));
  CHECK(again.metadata == model.graph.metadata);
  CHECK(sameBytes(serializeModel(again, 17), bytes));
}

TEST_CASE("stochastic depth comes back, and is a function for other tools") {
  const Graph graph = parseText(R"(
    input %x : float[N, 3]
    input %like : float[N, 1]
    constant %keep : float[] = [0.75]
    %y, %factors = simaqat::DropPath(%x, %like, %keep) "drop"
    output y = %y)",
                                opRegistry());
  CHECK(toText(reimported(graph, 17)) == toText(graph));
  onnx::ModelProto model;
  REQUIRE(model.ParseFromString(serializeModel(graph, 17)));
  REQUIRE(model.functions_size() == 1);
  CHECK(model.functions(0).name() == "DropPath");
  onnx::checker::check_model(model);
}

TEST_CASE("a finalized model is a standard one at every opset from 13 to 21") {
  Model model = loadModel(kModel);
  scaffold(model.graph, {});
  setRanges(model.graph);
  finalize(model.graph);
  for (int opset = 13; opset <= 21; ++opset) {
    INFO("opset " << opset);
    CHECK_NOTHROW(checkStandardModel(model.graph, opset));
    CHECK(toText(reimported(model.graph, opset)) == toText(reimported(model.graph, 13)));
  }
}

// Operators that opsets write differently.
TEST_CASE("operators are written as each opset has them") {
  const Graph graph = parseText(R"(
    input %x : float[2, 4, 6]
    constant %axes : int64[1] = [1]
    constant %split : int64[2] = [3, 3]
    %m = ReduceMean(%x, %axes) {keepdims = 0}
    %s = ReduceSum(%x, %axes)
    %h = ReduceMax(%x, %axes)
    %a, %b = Split(%m, %split) {axis = 1}
    %u = Unsqueeze(%a, %axes)
    %q = Squeeze(%u, %axes)
    %l = Softmax(%q)
    output s = %s
    output h = %h
    output b = %b
    output l = %l)",
                                opRegistry());
  const std::string text = toText(reimported(graph, 18));
  for (int opset = 13; opset <= 21; ++opset) {
    INFO("opset " << opset);
    const std::string bytes = serializeModel(graph, opset);
    CHECK(accepted(bytes, opset));
    const Graph again = importModelBytes(bytes, "bytes", "", opRegistry());
    REQUIRE(again.outputs.size() == graph.outputs.size());
    for (size_t i = 0; i < graph.outputs.size(); ++i) {
      CHECK(again.outputs[i].value->type == graph.outputs[i].value->type);
    }
    CHECK(again.nodes().size() == graph.nodes().size());
    if (opset >= 18) CHECK(toText(again) == text);
  }
}

TEST_CASE("an operator that the opset lacks is named") {
  const Graph graph = parseText(R"(
    input %x : float[2, 4]
    weight %w : float[4] = [1, ...]
    %y = LayerNormalization(%x, %w) "norm"
    output y = %y)",
                                opRegistry());
  CHECK_THROWS_WITH(serializeModel(graph, 13), ContainsSubstring("LayerNormalization 'norm'"));
  CHECK(leastOpset(graph, 13) == 17);
  CHECK(toText(reimported(graph, 17)) == toText(graph));
}

TEST_CASE("large models put their tensors into a file beside") {
  const fs::path folder = fs::temp_directory_path() / "simaqat_external_data";
  fs::remove_all(folder);
  fs::create_directories(folder);
  const Graph graph = importModel(kModel, opRegistry());
  const std::string path = (folder / "model.onnx").string();
  ExportOptions options;
  options.external_data_bytes = 1;
  exportModel(graph, path, options);
  std::string data;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path() != path) data = entry.path().string();
  }
  REQUIRE(!data.empty());
  CHECK(fs::file_size(path) < 20000);
  const Graph again = importModel(path, opRegistry());
  CHECK(firstDifference(toText(again), toText(graph)) == "");
  CHECK(sameTensors(graph, again));

  // The same graph writes the same files.
  const std::string before = readFile(path);
  exportModel(graph, path, options);
  CHECK(sameBytes(readFile(path), before));
  CHECK(std::distance(fs::directory_iterator(folder), fs::directory_iterator()) == 2);

  // Too short, and gone.
  fs::resize_file(data, fs::file_size(data) / 2);
  CHECK_THROWS_WITH(importModel(path, opRegistry()), ContainsSubstring(path));
  fs::remove(data);
  CHECK_THROWS_WITH(importModel(path, opRegistry()), ContainsSubstring(path));
  fs::remove_all(folder);
}

TEST_CASE("a model larger than one message holds is exported unchecked") {
  // Constants that share their data: 2 GiB in the file, little here.
  const Tensor tensor(ElementType::kFloat, {1 << 12, 1 << 12});
  Graph graph(opRegistry());
  std::vector<Value*> terms = {graph.addInput("x", {ElementType::kFloat, Shape{1 << 12, 1 << 12}})};
  for (int i = 0; i < 32; ++i) terms.push_back(graph.addConstant(fmt::format("c{}", i), tensor));
  graph.outputs.push_back({"y", graph.add("Sum", "y", terms)});
  CHECK_NOTHROW(checkStandardModel(graph, 17));
}

TEST_CASE("graph outputs keep their names whatever they are bound to") {
  const Graph graph = parseText(R"(
    input %x : float[2]
    constant %c : float[2] = [1, 2]
    weight %w : float[2] = [3, 4]
    %y = Relu(%x)
    output y = %y
    output again = %y
    output same = %x
    output c2 = %c
    output w2 = %w)",
                                opRegistry());
  CHECK(accepted(serializeModel(graph, 17), 17));
  const Graph again = reimported(graph, 17);
  REQUIRE(again.outputs.size() == 5);
  for (size_t i = 0; i < 5; ++i) CHECK(again.outputs[i].name == graph.outputs[i].name);
}

TEST_CASE("nodes of one name are told apart, for ONNX Runtime refuses them") {
  const Graph graph = parseText(R"(
    input %x : float[2]
    %y = Relu(%x) "same"
    %z = Neg(%y) "same"
    %u = Abs(%z) "same_1"
    output u = %u)",
                                opRegistry());
  onnx::ModelProto model;
  REQUIRE(model.ParseFromString(serializeModel(graph, 17)));
  std::set<std::string> names;
  for (const auto& node : model.graph().node()) names.insert(node.name());
  CHECK(names.size() == 3);
  CHECK(names.count("same") == 1);
}

TEST_CASE("what is no model is named") {
  CHECK_THROWS_WITH(importModelBytes("not a model", "x.onnx", "", opRegistry()),
                    ContainsSubstring("x.onnx: is not an ONNX model"));
  const std::string bytes = readFile(kModel);
  CHECK_THROWS_AS(importModelBytes(bytes.substr(0, bytes.size() / 2), "x.onnx", "", opRegistry()),
                  Error);
  CHECK_THROWS_AS(importModelBytes("", "x.onnx", "", opRegistry()), Error);
}

}  // namespace
}  // namespace simaqat
