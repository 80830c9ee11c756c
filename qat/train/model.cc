#include "qat/train/model.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <sstream>

#include "qat/base/file.h"
#include "qat/base/hash.h"
#include "qat/ir/fake_quantize.h"
#include "qat/ir/op.h"
#include "qat/onnx/import.h"
#include "qat/ops/registry.h"
#include "qat/passes/bind_quantizers.h"

namespace simaqat {
namespace {

constexpr const char* kStageNames[] = {"source", "prepared", "trained", "finalized", "exported"};

Stage stageOf(const Graph& graph, const std::string& path) {
  const auto entry = graph.metadata.find(kStageKey);
  if (entry == graph.metadata.end()) {
    // A quantized file of another tool is as finished as an exported one.
    const bool quantized =
        std::any_of(graph.nodes().begin(), graph.nodes().end(), [](const auto& node) {
          return node->op().name == "QuantizeLinear" || node->op().name == "DequantizeLinear";
        });
    return quantized ? Stage::kExported : Stage::kSource;
  }
  for (size_t i = 0; i < std::size(kStageNames); ++i) {
    if (entry->second == kStageNames[i]) return static_cast<Stage>(i);
  }
  throw inputError("{}: metadata {}: '{}' is not a stage", path, kStageKey, entry->second);
}

void readTrainable(Graph& graph) {
  const auto entry = graph.metadata.find(kTrainableKey);
  std::set<std::string> names;
  if (entry != graph.metadata.end()) {
    std::istringstream lines(entry->second);
    for (std::string line; std::getline(lines, line);) names.insert(line);
  }
  for (const auto& variable : graph.variables()) {
    variable->trainable = variable->role == VariableRole::kWeight &&
                          (entry == graph.metadata.end() || names.count(variable->name) != 0);
  }
  for (const auto& node : graph.nodes()) {
    if (!isFakeQuantize(*node)) continue;
    const auto& spec = node->attributes<QuantizerSpec>();
    if (spec.learnsScale()) node->input(learnedScaleInput(spec))->variable->trainable = true;
    if (spec.learnsOffset()) node->input(kFakeQuantizeOffset)->variable->trainable = true;
  }
}

}  // namespace

const char* stageName(Stage stage) { return kStageNames[static_cast<size_t>(stage)]; }

Model loadModel(const std::string& path, BatchNormPolicy policy) {
  const FileBytes bytes(path);
  std::string hash = hashHex(bytes.view());
  const std::string folder = std::filesystem::path(path).parent_path().string();
  Model model{importModelBytes(bytes.view(), path, folder, opRegistry()),
              Stage::kSource,
              path,
              std::move(hash),
              {}};
  try {
    model.stage = stageOf(model.graph, path);
    model.warnings =
        canonicalize(model.graph, model.stage == Stage::kSource ? policy : BatchNormPolicy::kAsIs);
    bindQuantizers(model.graph);
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{}: {}", path, error.what()));
  }
  readTrainable(model.graph);
  return model;
}

void setStage(Graph& graph, Stage stage) { graph.metadata[kStageKey] = stageName(stage); }

void storeTrainable(Graph& graph) {
  std::string names;
  for (const auto& variable : graph.variables()) {
    if (variable->trainable) names += variable->name + "\n";
  }
  graph.metadata[kTrainableKey] = names;
}

}  // namespace simaqat
