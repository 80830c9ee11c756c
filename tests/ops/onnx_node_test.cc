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
    return node.op_type() == "Constant" || node.op_type() == "If" ||
           opRegistry().find(node.op_type()) != nullptr;
  });
}

// float16 can be read, and becomes float; tensors of bfloat16 these files hold as uint16.
bool hasTypes(const onnx::ModelProto& model) {
  const auto is = [](const onnx::ValueInfoProto& info, ElementType type) {
    return info.type().tensor_type().elem_type() == static_cast<int>(type);
  };
  const auto readable = [&](const onnx::ValueInfoProto& info) {
    return info.type().has_tensor_type() && !is(info, ElementType::kString) &&
           !is(info, ElementType::kBfloat16);
  };
  const auto computed = [&](const onnx::ValueInfoProto& info) {
    return readable(info) && !is(info, ElementType::kFloat16);
  };
  const onnx::GraphProto& graph = model.graph();
  return std::all_of(graph.input().begin(), graph.input().end(), readable) &&
         std::all_of(graph.output().begin(), graph.output().end(), computed);
}

int64_t opset(const onnx::ModelProto& model) {
  for (const auto& entry : model.opset_import()) {
    if (entry.domain().empty()) return entry.version();
  }
  return 0;
}

// Why a test is not for us; empty where it is.
std::string reasonToSkip(const std::string& name, const onnx::ModelProto& model) {
  static const std::map<std::string, std::string> kByName = {
      {"test_bernoulli", "draws random numbers"},
      {"test_training_dropout", "draws random numbers"},
      {"test_dropout_default_old", "drops in training before opset 12, where nothing says"},
      {"test_dropout_random_old", "drops in training before opset 12, where nothing says"},
      {"test_resize_downsample_scales_linear_align_corners",
       "takes the output's length before it is rounded, unlike ONNX's text and ONNX Runtime"},
      {"test_resize_downsample_scales_cubic_align_corners",
       "takes the output's length before it is rounded, unlike ONNX's text and ONNX Runtime"},
      {"test_pow_types", "several exponents of another type than the base"},
  };
  if (!hasOperators(model)) return "operators that are not supported";
  if (opset(model) < 7) return "an opset before 7";
  if (!hasTypes(model)) return "types that are not supported";
  for (const auto& [prefix, reason] : kByName) {
    const bool drops_nothing = name.find("zero_ratio") != std::string::npos;
    if (name.rfind(prefix, 0) == 0 && !drops_nothing) return reason;
  }
  return "";
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
  std::map<std::string, int> skipped;
  for (const fs::path& folder : folders) {
    const std::string name = folder.filename();
    const std::string reason = reasonToSkip(name, readModel(folder));
    if (!reason.empty()) {
      ++skipped[reason];
      continue;
    }
    INFO(name);
    std::string message;
    try {
      message = runTest(folder);
    } catch (const Error& error) {
      message = error.what();
    }
    CHECK(message == "");
    if (message.empty()) ++passed;
  }
  std::printf("ONNX's node tests: %d passed\n", passed);
  for (const auto& [reason, count] : skipped) {
    std::printf("  %d skipped: %s\n", count, reason.c_str());
  }
}

}  // namespace simaqat
