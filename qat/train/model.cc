#include "qat/train/model.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <sstream>

#include "qat/base/file.h"
#include "qat/base/hash.h"
#include "qat/base/text.h"
#include "qat/ir/fake_quantize.h"
#include "qat/ir/op.h"
#include "qat/onnx/export.h"
#include "qat/onnx/import.h"
#include "qat/ops/registry.h"
#include "qat/passes/bind_quantizers.h"
#include "qat/passes/open_batch.h"

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

// Nothing trains in a finalized file; its single numbers are those of its formulas.
ParameterEvidence evidenceOf(const Graph& graph, Stage stage, const ImportReport& report) {
  ParameterEvidence evidence{listedParameters(graph), report.stated_parameters};
  if (stage < Stage::kFinalized) return evidence;
  evidence.listed.emplace();
  for (const auto& variable : graph.variables()) {
    if (variable->value.size() > 1) evidence.listed->insert(variable->name);
  }
  return evidence;
}

// The first names of a list that may be long.
std::string firstOf(std::vector<std::string> names) {
  constexpr size_t kShown = 8;
  if (names.size() > kShown) {
    names.resize(kShown);
    names.push_back("...");
  }
  return joined(names);
}

void addImportWarnings(const ImportReport& report, Model& model) {
  if (!report.separated.empty()) {
    model.warnings.push_back(
        fmt::format("{} parameters that the exporter had merged by value have initializers of "
                    "their own again: {}",
                    report.separated.size(), firstOf(report.separated)));
  }
  std::vector<std::string> missing;
  for (const std::string& name : listedParameters(model.graph).value_or(std::set<std::string>())) {
    if (model.graph.findVariable(name) == nullptr) missing.push_back(name);
  }
  if (!missing.empty()) {
    model.warnings.push_back(fmt::format(
        "metadata {} lists {} names that no initializer of the graph has, and which do not train: "
        "{}",
        kParametersKey, missing.size(), firstOf(missing)));
  }
}

// Floats of other widths are float32 here.
void tellWidening(Model& model) {
  std::vector<std::string> names;
  for (const auto& [key, type] : model.graph.metadata) {
    for (const std::string prefix : {kInputTypeKey, kOutputTypeKey}) {
      if (key.rfind(prefix, 0) == 0) names.push_back(key.substr(prefix.size()) + " (" + type + ")");
    }
  }
  if (names.empty()) return;
  model.warnings.push_back(fmt::format(
      "everything is computed in float32; export gives these inputs and outputs their types back, "
      "unless with --float32-io: {}",
      joined(names)));
}

// Folding makes a constant of a shape with the file's own batch, and a Reshape to it takes no
// other. Where that is all that fixes the batch, such shapes stay computed.
std::vector<std::string> canonicalizeForAnyBatch(Graph& graph, BatchNormPolicy policy) {
  if (fixedBatch(graph) == 0) return canonicalize(graph, policy);
  Graph open = graph.clone();
  const std::vector<std::string> warnings = canonicalize(graph, policy);
  if (takesOtherBatch(graph)) return warnings;
  try {
    const HiddenBatch hidden(open);
    canonicalize(open, policy);
    hidden.restore(open);
  } catch (const Error&) {
    return warnings;
  }
  if (takesOtherBatch(open)) graph = std::move(open);
  return warnings;
}

}  // namespace

const char* stageName(Stage stage) { return kStageNames[static_cast<size_t>(stage)]; }

Model loadModel(const std::string& path, BatchNormPolicy policy,
                const std::vector<std::string>& train) {
  const FileBytes bytes(path);
  std::string hash = hashHex(bytes.view());
  const std::string folder = std::filesystem::path(path).parent_path().string();
  ImportReport report;
  Model model{importModelBytes(bytes.view(), path, folder, opRegistry(), &report),
              Stage::kSource,
              path,
              std::move(hash),
              {},
              {},
              false};
  try {
    model.stage = stageOf(model.graph, path);
    const ParameterEvidence evidence = evidenceOf(model.graph, model.stage, report);
    model.names_parameters = evidence.listed || !evidence.stated.empty();
    model.constants = decideParameters(model.graph, evidence, train);
    const BatchNormPolicy own_policy =
        model.stage == Stage::kSource ? policy : BatchNormPolicy::kAsIs;
    model.warnings = model.stage < Stage::kFinalized
                         ? canonicalizeForAnyBatch(model.graph, own_policy)
                         : canonicalize(model.graph, own_policy);
    if (model.stage == Stage::kSource) addImportWarnings(report, model);
    bindQuantizers(model.graph);
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{}: {}", path, error.what()));
  }
  if (model.stage == Stage::kSource) tellWidening(model);
  readTrainable(model.graph);
  return model;
}

void setStage(Graph& graph, Stage stage) { graph.metadata[kStageKey] = stageName(stage); }

namespace {

// Those that `chosen` takes, a line each.
template <class Chosen>
std::string namesOf(const Graph& graph, const Chosen& chosen) {
  std::string names;
  for (const auto& variable : graph.variables()) {
    if (chosen(*variable)) names += variable->name + "\n";
  }
  return names;
}

}  // namespace

void storeParameters(Graph& graph) {
  graph.metadata[kParametersKey] = namesOf(
      graph, [](const Variable& variable) { return variable.role == VariableRole::kWeight; });
}

void storeTrainable(Graph& graph) {
  storeParameters(graph);
  graph.metadata[kTrainableKey] =
      namesOf(graph, [](const Variable& variable) { return variable.trainable; });
}

}  // namespace simaqat
