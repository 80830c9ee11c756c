// What `prepare` says of ONNX Runtime's kernels is what ONNX Runtime does, node by node, in the
// graph that it makes of the exported file.
#include <filesystem>

#include "qat/exec/executor.h"
#include "qat/ir/fake_quantize.h"
#include "qat/onnx/check.h"
#include "qat/passes/refresh_quantizers.h"
#include "qat/passes/scaffold.h"
#include "qat/train/evaluate.h"
#include "qat/train/parameters.h"
#include "qat/train/step_graph.h"
#include "tests/agreement/onnx_runtime.h"
#include "tests/agreement/shipped_network.h"
#include "tests/catch.h"
#include "tests/zoo/zoo.h"

namespace simaqat {
namespace {

namespace fs = std::filesystem;

// Every model file of the zoo, and the folder whose batches fit it.
std::vector<std::pair<std::string, std::string>> models() {
  std::vector<std::pair<std::string, std::string>> found;
  for (const auto& entry : fs::directory_iterator(zoo::sharedFolder() + "/zoo")) {
    const fs::path model = entry.path() / "model.onnx";
    if (fs::exists(model)) found.emplace_back(model.string(), entry.path().filename().string());
  }
  for (const auto& entry : fs::directory_iterator(zoo::sharedFolder() + "/zoo/variants")) {
    const std::string name = entry.path().filename().string();
    const bool is_efficientnet = name.rfind("efficientnet", 0) == 0;
    found.emplace_back(entry.path().string(), is_efficientnet ? "efficientnet_tiny" : "resnet20");
  }
  std::sort(found.begin(), found.end());
  return found;
}

void calibrate(Graph& graph, const Tensor& input, ThreadPool& pool) {
  Executor executor(buildInference(graph.clone(), Mode::kCalibrate, input.dims()[0],
                                   zoo::sampleDims(input)),
                    pool);
  executor.setInput(0, input);
  executor.compute(0);
  executor.commit();
  executor.writeBack(graph);
  refreshQuantizers(graph);
}

// What the optimized graph shows of a node under its name; "" for nothing.
std::string kindByName(const onnx_runtime::NodeKinds& kinds, const Node& node) {
  const auto found = kinds.by_name.find(node.name());
  return found == kinds.by_name.end() ? "" : found->second;
}

// The same of a node that may be one of several which ONNX Runtime writes as others, with names of
// their own: they end in the same value.
std::string kindOf(const onnx_runtime::NodeKinds& kinds, const Node& node) {
  const std::string by_name = kindByName(kinds, node);
  if (!by_name.empty()) return by_name;
  const auto by_output = kinds.by_output.find(node.output()->name());
  if (by_output != kinds.by_output.end()) return by_output->second;
  const auto& uses = node.output()->uses();
  const bool goes_on = uses.size() == 1 && !isFakeQuantize(*uses[0].node);
  return goes_on ? kindOf(kinds, *uses[0].node) : "";
}

bool agrees(const std::string& predicted, const onnx_runtime::NodeKinds& kinds, const Node& node) {
  const std::string by_name = kindByName(kinds, node);
  if (predicted == "integer") return by_name == "integer";
  // ONNX Runtime takes out movers that undo each other.
  if (predicted == "moves codes") return by_name == "moves" || by_name.empty();
  if (predicted == "gone") return by_name.empty();
  return kindOf(kinds, node) == "float";
}

void checkModel(const std::string& path, const std::string& batches, ThreadPool& pool,
                const ScaffoldOptions& asked = {}) {
  const std::string name = fs::path(path).parent_path().filename().string() + "-" +
                           fs::path(path).stem().string();
  Graph graph = loadModel(path).graph;
  keepReached(graph);
  const std::vector<PlacementEntry> entries = scaffold(graph, asked);
  Tensor input = zoo::batch(batches, "input");
  if (const int64_t fixed = fixedBatch(graph)) input = rows(input, 0, fixed);
  calibrate(graph, input, pool);
  const ShippedNetwork shipped = ship(graph.clone(), name);
  std::map<std::string, const Node*> nodes;
  for (const auto& node : graph.nodes()) nodes[node->name()] = node.get();
  onnx_runtime::Options options;
  options.save_optimized = shipped.exported_path + ".optimized.onnx";
  onnx_runtime::run(shipped.exported_path, shipped.exported.inputs[0]->name(), input, options);
  const auto kinds = onnx_runtime::nodeKinds(options.save_optimized);
  int64_t compared = 0;
  for (const PlacementEntry& entry : entries) {
    if (entry.kernel.empty()) continue;
    const Node& node = *nodes.at(entry.node);
    const std::string actual = kindOf(kinds, node);
    INFO(entry.op_type << " '" << entry.node << "': predicted " << entry.kernel << ", ran "
                       << (actual.empty() ? "nowhere" : actual));
    CHECK(agrees(entry.kernel, kinds, node));
    ++compared;
  }
  CHECK(compared > 10);
}

TEST_CASE("predicted kernels are those that ONNX Runtime uses") {
  if (zoo::sharedFolder().empty()) QAT_SKIP("../shared is not here");
  const std::string missing = onnx_runtime::missing();
  if (!missing.empty()) QAT_SKIP(missing << " is not here: tools/install_test_packages.sh");
  ThreadPool pool(2);
  for (const auto& [path, batches] : models()) {
    DYNAMIC_SECTION(path) { checkModel(path, batches, pool); }
  }
}

TEST_CASE("predicted kernels follow a recipe") {
  if (zoo::sharedFolder().empty()) QAT_SKIP("../shared is not here");
  const std::string missing = onnx_runtime::missing();
  if (!missing.empty()) QAT_SKIP(missing << " is not here: tools/install_test_packages.sh");
  ThreadPool pool(2);
  std::map<std::string, ScaffoldOptions> recipes;
  recipes["weights of 4 bits"].weight.bits = 4;
  recipes["activations of 16 bits"].activation.bits = 16;
  recipes["weights only"].activation.quantize = false;
  recipes["activations only"].weight.quantize = false;
  recipes["integer kernels only"].only_integer_kernels = true;
  recipes["one scale a weight"].weight.per_channel = false;
  Approximation segments;
  segments.op_type = "Relu";
  segments.segments = 8;
  segments.range = {-8, 8};
  recipes["approximated Relus"].approximations = {segments};
  QuantizationOverride image{"input", "", {}, {}};
  image.activation.is_signed = true;
  recipes["a signed input"].overrides = {image};
  for (const char* op_type : {"Conv", "Mul", "Relu", "BatchNormalization"}) {
    QuantizationOverride off;
    off.op_type = op_type;
    off.activation.quantize = false;
    recipes[std::string("no quantizer behind ") + op_type].overrides = {off};
  }
  for (const auto& [name, options] : recipes) {
    for (const std::string network : {"mobilenet_v3_tiny", "densenet_tiny", "vit_tiny"}) {
      const bool has_op = network != "densenet_tiny" || name != "no quantizer behind Mul";
      const bool of_vit = name != "no quantizer behind Relu" && name != "approximated Relus" &&
                          name != "no quantizer behind BatchNormalization";
      if (!has_op || (network == "vit_tiny" && !of_vit)) continue;
      DYNAMIC_SECTION(name << ", " << network) {
        checkModel(zoo::networkFolder(network) + "/model.onnx", network, pool, options);
      }
    }
  }
}

}  // namespace
}  // namespace simaqat
