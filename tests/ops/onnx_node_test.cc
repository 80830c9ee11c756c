// ONNX's own node tests, of the operators that the registry has.
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <set>

#include "qat/base/file.h"
#include "qat/onnx/convert.h"
#include "qat/onnx/import.h"
#include "tests/catch.h"
#include "tests/ops/run_node.h"

namespace simaqat {
namespace {

namespace fs = std::filesystem;

const fs::path kFolder = "/usr/share/libonnx-testdata/data/node";

// Too different for arithmetic in another order.
constexpr double kTolerance = 1e-4;

onnx::ModelProto readModel(const fs::path& folder) {
  onnx::ModelProto model;
  if (!model.ParseFromString(readFile(folder / "model.onnx"))) {
    throw inputError("{} is not a model", folder.string());
  }
  return model;
}

Tensor readTensor(const fs::path& path) {
  onnx::TensorProto proto;
  if (!proto.ParseFromString(readFile(path))) {
    throw inputError("{} is not a tensor", path.string());
  }
  return onnx_format::toTensor(proto, path.parent_path());
}

bool hasOperators(const onnx::ModelProto& model) {
  return std::all_of(model.graph().node().begin(), model.graph().node().end(), [](auto& node) {
    return node.op_type() == "Constant" || opRegistry().find(node.op_type()) != nullptr;
  });
}

// The test's inputs stand in the model as constants, so that shapes follow from them.
void makeConstant(onnx::ModelProto& model, int index, const fs::path& path) {
  onnx::TensorProto* constant = model.mutable_graph()->add_initializer();
  if (!constant->ParseFromString(readFile(path))) throw inputError("{}", path.string());
  constant->set_name(model.graph().input(index).name());
}

std::string runTest(const fs::path& folder) {
  onnx::ModelProto model = readModel(folder);
  const fs::path data = folder / "test_data_set_0";
  for (int i = 0; i < model.graph().input_size(); ++i) {
    makeConstant(model, i, data / fmt::format("input_{}.pb", i));
  }
  const Graph graph = importModelBytes(model.SerializeAsString(), folder.filename().string(),
                                       folder.string(), opRegistry());
  ThreadPool pool(1);
  std::map<const Value*, Tensor> values;
  const auto tensorOf = [&](const Value* value) {
    if (value == nullptr) return Tensor();
    if (value->isConstant()) return value->constant;
    return value->variable != nullptr ? value->variable->value : values.at(value);
  };
  for (const auto& node : graph.nodes()) {
    std::vector<Tensor> inputs;
    for (const Value* input : node->inputs()) inputs.push_back(tensorOf(input));
    const std::vector<Tensor> outputs = evaluateOnHost(graph, *node, inputs, pool);
    for (size_t i = 0; i < outputs.size(); ++i) values[node->output(i)] = outputs[i];
  }
  for (size_t i = 0; i < graph.outputs.size(); ++i) {
    const Tensor expected = readTensor(data / fmt::format("output_{}.pb", i));
    const Tensor got = tensorOf(graph.outputs[i].value);
    if (got.type() != expected.type()) {
      return fmt::format("output {}: expected {}, got {}", i, elementTypeName(expected.type()),
                         elementTypeName(got.type()));
    }
    const double apart = distance(got, expected);
    if (!(apart <= kTolerance)) return fmt::format("output {} is off by {}", i, apart);
  }
  return "";
}

}  // namespace

TEST_CASE("ONNX's node tests") {
  if (!fs::exists(kFolder)) QAT_SKIP("no " + kFolder.string() + " (package libonnx-testdata)");
  std::set<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(kFolder)) folders.insert(entry.path());
  int passed = 0;
  int failed = 0;
  for (const fs::path& folder : folders) {
    if (!hasOperators(readModel(folder))) continue;
    std::string message;
    try {
      message = runTest(folder);
    } catch (const Error& error) {
      message = error.what();
    }
    ++(message.empty() ? passed : failed);
    if (!message.empty()) std::printf("%s: %s\n", folder.filename().c_str(), message.c_str());
  }
  std::printf("ONNX's node tests: %d passed, %d failed\n", passed, failed);
}

}  // namespace simaqat
