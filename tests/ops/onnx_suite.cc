#include "tests/ops/onnx_suite.h"

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "qat/base/file.h"
#include "qat/onnx/convert.h"
#include "qat/onnx/import.h"
#include "qat/onnx/inline.h"
#include "tests/ops/run_node.h"

namespace simaqat {
namespace {

namespace fs = std::filesystem;

const fs::path kPackage = "/usr/share/libonnx-testdata/data";

constexpr int kFirstOpset = 6;

// More than arithmetic in another order explains. Floats of 16 bits are float here: their own
// rounding is left out. That of bfloat16 cuts off all behind 8 bits.
constexpr double kTolerance = 1e-4;
constexpr double kHalfTolerance = 2e-3;
constexpr double kBfloatTolerance = 1.0 / 128;

// Cases that begin so are not passed, and why.
const std::map<std::string, std::string>& reasons() {
  static const std::map<std::string, std::string> kReasons = {
      {"test_bernoulli", "draws random numbers"},
      {"test_training_dropout", "draws random numbers"},
      {"test_dropout_default_old", "drops in training before opset 12, where nothing says"},
      {"test_dropout_random_old", "drops in training before opset 12, where nothing says"},
      {"test_resize_downsample_scales_linear_align_corners",
       "takes the output's length before it is rounded, unlike ONNX's text and ONNX Runtime"},
      {"test_resize_downsample_scales_cubic_align_corners",
       "takes the output's length before it is rounded, unlike ONNX's text and ONNX Runtime"},
      {"test_scan_sum", "Scan has another form in opset 8"},
      // Those below are of newer versions of the package.
      {"test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_True",
       "counts positions that are behind the padding, unlike PyTorch"},
      {"test_cast_FLOAT16_to_INT4", "rounds to integers of 4 bits, where Cast cuts off"},
      {"test_cast_FLOAT_to_INT4", "rounds to integers of 4 bits, where Cast cuts off"},
      {"test_dequantizelinear_blocked", "scales for blocks are not supported"},
      {"test_quantizelinear_blocked", "scales for blocks are not supported"},
      {"test_qlinearmatmul_2D_int8", "wraps round where ONNX Runtime saturates"},
      {"test_qlinearmatmul_3D_int8", "wraps round where ONNX Runtime saturates"},
  };
  return kReasons;
}

onnx::ModelProto readModel(const fs::path& folder) {
  onnx::ModelProto model;
  if (!model.ParseFromString(readFile(folder / "model.onnx"))) {
    throw inputError("{} is not a model", folder.string());
  }
  return model;
}

// The tensor that a case has for an input or output.
onnx::TensorProto readTensorProto(const fs::path& path, const onnx::ValueInfoProto& info) {
  onnx::TensorProto proto;
  if (!proto.ParseFromString(readFile(path))) {
    throw inputError("{} is not a tensor", path.string());
  }
  // The files call the bits of a bfloat16 uint16.
  if (info.type().tensor_type().elem_type() == onnx::TensorProto::BFLOAT16) {
    proto.set_data_type(onnx::TensorProto::BFLOAT16);
  }
  return proto;
}

int64_t opsetOf(const onnx::ModelProto& model) {
  for (const auto& entry : model.opset_import()) {
    if (entry.domain().empty()) return entry.version();
  }
  return 0;
}

// The element types of a model's inputs and outputs that simaqat does not read.
std::string foreignTypes(const onnx::ModelProto& model) {
  std::set<std::string> names;
  const auto look = [&](const onnx::ValueInfoProto& info) {
    if (!info.type().has_tensor_type()) {
      names.insert("sequences or optionals");
      return;
    }
    const auto type = static_cast<ElementType>(info.type().tensor_type().elem_type());
    const bool is_short = type == ElementType::kFloat16 || type == ElementType::kBfloat16;
    if (elementSize(type) == 0 && !is_short) names.insert(elementTypeName(type));
  };
  for (const auto& info : model.graph().input()) look(info);
  for (const auto& info : model.graph().output()) look(info);
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string reasonFor(const std::string& name, const onnx::ModelProto& model) {
  if (opsetOf(model) < kFirstOpset) return fmt::format("of an opset before {}", kFirstOpset);
  if (const std::string types = foreignTypes(model); !types.empty()) {
    return "tensors of " + types;
  }
  for (const auto& [prefix, reason] : reasons()) {
    if (name.rfind(prefix, 0) == 0) return reason;
  }
  return "";
}

// A case's inputs stand in its model as constants, so that shapes follow from them.
void makeInputsConstant(onnx::ModelProto& model, const fs::path& data) {
  std::set<std::string> initializers;
  for (const auto& tensor : model.graph().initializer()) initializers.insert(tensor.name());
  int index = 0;
  for (const auto& input : model.graph().input()) {
    if (initializers.count(input.name()) != 0) continue;
    onnx::TensorProto* constant = model.mutable_graph()->add_initializer();
    *constant = readTensorProto(data / fmt::format("input_{}.pb", index++), input);
    constant->set_name(input.name());
  }
}

class Evaluation {
 public:
  explicit Evaluation(const Graph& graph) {
    ThreadPool pool(1);
    for (const auto& node : graph.nodes()) {
      std::vector<Tensor> inputs;
      for (const Value* input : node->inputs()) inputs.push_back(tensor(input));
      const std::vector<Tensor> outputs = evaluateOnHost(graph, *node, inputs, pool);
      for (size_t i = 0; i < outputs.size(); ++i) values_[node->output(i)] = outputs[i];
    }
  }
  Tensor tensor(const Value* value) const {
    if (value == nullptr) return Tensor();
    if (value->isConstant()) return value->constant;
    return value->variable != nullptr ? value->variable->value : values_.at(value);
  }

 private:
  std::map<const Value*, Tensor> values_;
};

// What is wrong with an output; empty where nothing is.
std::string compare(const Tensor& got, const onnx::TensorProto& proto, const fs::path& data) {
  const Tensor expected = onnx_format::toTensor(proto, data);
  if (got.type() != expected.type()) {
    return fmt::format("expected {}, got {}", elementTypeName(expected.type()),
                       elementTypeName(got.type()));
  }
  double tolerance = kTolerance;
  if (proto.data_type() == onnx::TensorProto::FLOAT16) tolerance = kHalfTolerance;
  if (proto.data_type() == onnx::TensorProto::BFLOAT16) tolerance = kBfloatTolerance;
  const double apart = distance(got, expected);
  if (apart <= tolerance) return "";
  return fmt::format("is off by {}", apart);
}

std::string runData(onnx::ModelProto model, const fs::path& folder, const fs::path& data) {
  makeInputsConstant(model, data);
  const Graph graph = importModelBytes(model.SerializeAsString(), folder.filename().string(),
                                       folder.string(), opRegistry());
  const Evaluation evaluation(graph);
  for (size_t i = 0; i < graph.outputs.size(); ++i) {
    const onnx::TensorProto expected = readTensorProto(data / fmt::format("output_{}.pb", i),
                                                       model.graph().output(static_cast<int>(i)));
    const std::string wrong = compare(evaluation.tensor(graph.outputs[i].value), expected, data);
    if (!wrong.empty()) return fmt::format("output {}: {}", i, wrong);
  }
  return "";
}

std::string runModel(const onnx::ModelProto& model, const fs::path& folder) {
  try {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (!entry.is_directory()) continue;
      const std::string wrong = runData(model, folder, entry.path());
      if (!wrong.empty()) return wrong;
    }
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

// The operators that are not supported.
std::set<std::string> foreignOperators(const onnx::ModelProto& model) {
  std::set<std::string> names;
  for (const onnx::NodeProto& node : model.graph().node()) {
    if (!isSupported(onnx_format::qualifiedName(node), opRegistry())) names.insert(node.op_type());
  }
  return names;
}

OnnxCase runCase(const fs::path& folder) {
  const onnx::ModelProto model = readModel(folder);
  OnnxCase result;
  result.name = folder.filename();
  for (const onnx::NodeProto& node : model.graph().node()) result.operators.insert(node.op_type());
  if (const auto foreign = foreignOperators(model); !foreign.empty()) {
    result.outcome = OnnxOutcome::kForeign;
    result.message = fmt::format("{}", fmt::join(foreign, ", "));
    return result;
  }
  result.message = runModel(model, folder);
  if (result.message.empty()) {
    result.outcome = OnnxOutcome::kPassed;
  } else if (const std::string reason = reasonFor(result.name, model); !reason.empty()) {
    result.outcome = OnnxOutcome::kExcused;
    result.message = reason;
  }
  return result;
}

}  // namespace

std::string onnxSuiteFolder() { return fs::exists(kPackage) ? kPackage.string() : ""; }

std::vector<OnnxCase> runOnnxSuite(const std::string& set) {
  std::set<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(kPackage / set)) folders.insert(entry.path());
  std::vector<OnnxCase> cases;
  for (const fs::path& folder : folders) cases.push_back(runCase(folder));
  return cases;
}

std::vector<std::string> staleReasons(const std::vector<OnnxCase>& cases) {
  std::vector<std::string> stale;
  for (const auto& entry : reasons()) {
    const std::string& prefix = entry.first;
    const auto isOfReason = [&](const OnnxCase& c) { return c.name.rfind(prefix, 0) == 0; };
    const bool exists = std::any_of(cases.begin(), cases.end(), isOfReason);
    const bool excuses = std::any_of(cases.begin(), cases.end(), [&](const OnnxCase& c) {
      return c.outcome == OnnxOutcome::kExcused && isOfReason(c);
    });
    if (exists && !excuses) stale.push_back(prefix);
  }
  return stale;
}

}  // namespace simaqat
