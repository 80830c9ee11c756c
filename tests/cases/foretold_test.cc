// What `prepare` says of each node is what finalize makes of it: over the networks of ../shared/zoo
// and the models of ../shared/cases, and with recipes.
#include "qat/passes/foretold.h"

#include <filesystem>
#include <set>

#include "qat/base/file.h"
#include "qat/onnx/export.h"
#include "qat/onnx/opset.h"
#include "qat/passes/finalize.h"
#include "qat/passes/refresh_quantizers.h"
#include "qat/train/model.h"
#include "qat/train/parameters.h"
#include "tests/cases/cases.h"
#include "tests/catch.h"
#include "tests/zoo/zoo.h"

namespace simaqat::cases {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> modelsIn(const std::string& folder) {
  std::vector<std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(zoo::sharedFolder() + "/" + folder)) {
    const std::string path = entry.path().string();
    const bool is_loss =
        path.find("loss") != std::string::npos || path.find("scores") != std::string::npos;
    if (entry.path().extension() == ".onnx" && !is_loss) found.push_back(path);
  }
  std::sort(found.begin(), found.end());
  return found;
}

// Ranges as if something had been observed.
void setRanges(Graph& graph) {
  for (const auto& variable : graph.variables()) {
    if (variable->role != VariableRole::kObserverRange) continue;
    const bool low = variable->name.find("range_min") != std::string::npos;
    if (variable->value.size() == 1) *variable->value.mutableData<float>() = low ? -0.5f : 2.0f;
  }
  refreshQuantizers(graph);
}

struct Outcome {
  std::map<std::string, std::string> kernels;  // what was foretold, by node
  Graph shipped;
};

Outcome ship(Graph graph, const ScaffoldOptions& options) {
  keepReached(graph);
  Outcome outcome{{}, Graph(graph.registry())};
  const std::vector<PlacementEntry> placement = scaffold(graph, options);
  for (const PlacementEntry& entry : placement) outcome.kernels[entry.node] = entry.kernel;
  storeForetold(graph, placement);
  setRanges(graph);
  finalize(graph);
  CHECK(foretoldButFloat(graph).empty());
  const std::string path = cli::scratch("foretold.onnx");
  exportModel(graph, path, {leastOpset(graph, kLeastExportOpset)});
  outcome.shipped = loadModel(path).graph;
  return outcome;
}

// `folds`: the weights are quantized, and take BatchNormalization in.
void check(const Outcome& outcome, bool folds = true) {
  for (const auto& node : outcome.shipped.nodes()) {
    const auto found = outcome.kernels.find(node->name());
    if (found == outcome.kernels.end() || found->second.empty()) continue;
    INFO(node->describe() << ": foretold " << found->second);
    if (found->second == "integer") CHECK(hasIntegerForm(outcome.shipped, *node));
    if (found->second.rfind("float", 0) == 0) CHECK(!hasIntegerForm(outcome.shipped, *node));
    if (found->second == "gone" && folds) CHECK(node->opType() != "BatchNormalization");
  }
}

TEST_CASE("what prepare foretells of the zoo and the cases comes") {
  if (zoo::sharedFolder().empty() || !present()) QAT_SKIP("../shared is not here");
  std::vector<std::string> models = modelsIn("zoo");
  const std::vector<std::string> cases = modelsIn("cases");
  models.insert(models.end(), cases.begin(), cases.end());
  for (const std::string& path : models) {
    INFO(path);
    check(ship(loadModel(path).graph, {}));
  }
  CHECK(models.size() > 50);
}

TEST_CASE("what prepare foretells with a recipe comes") {
  if (zoo::sharedFolder().empty()) QAT_SKIP("../shared is not here");
  std::map<std::string, ScaffoldOptions> recipes;
  recipes["weights of 4 bits"].weight.bits = 4;
  recipes["activations of 16 bits"].activation.bits = 16;
  recipes["weights only"].activation.quantize = false;
  recipes["activations only"].weight.quantize = false;
  recipes["integer kernels only"].only_integer_kernels = true;
  recipes["one scale a weight"].weight.per_channel = false;
  for (const auto& [name, options] : recipes) {
    for (const std::string network : {"mobilenet_v3_tiny", "densenet_tiny", "vit_tiny"}) {
      INFO(name << ", " << network);
      check(ship(loadModel(zoo::networkFolder(network) + "/model.onnx").graph, options),
            options.weight.quantize.value_or(true));
    }
  }
}

}  // namespace
}  // namespace simaqat::cases
