// A model file of any stage, read and made canonical.
#pragma once

#include <string>
#include <vector>

#include "qat/ir/graph.h"
#include "qat/passes/canonicalize.h"
#include "qat/passes/decide_parameters.h"

namespace simaqat {

enum class Stage { kSource, kPrepared, kTrained, kFinalized, kExported };
const char* stageName(Stage stage);

// Keys of metadata_props.
constexpr char kStageKey[] = "simaqat.stage";
constexpr char kTrainableKey[] = "simaqat.trainable";
constexpr char kSourceHashKey[] = "simaqat.source";
constexpr char kRecipeHashKey[] = "simaqat.recipe";
constexpr char kLossHashKey[] = "simaqat.loss";
constexpr char kManifestHashKey[] = "simaqat.manifest";

struct Model {
  Graph graph;
  Stage stage = Stage::kSource;
  std::string path;
  std::string hash;  // of the file's bytes
  std::vector<std::string> warnings;
  // Initializers that could train, and are constants.
  std::vector<ConstantInitializer> constants;
  // Whether the file itself says which initializers are parameters.
  bool names_parameters = false;
};

// Reads, decides what is a parameter, canonicalizes, binds quantizers. `policy` is for a source
// file; later stages are as they say. Constants that match a pattern in `train` are parameters.
// Weights' `trainable` follows the file's list where it has one, else all are.
Model loadModel(const std::string& path, BatchNormPolicy policy = BatchNormPolicy::kAuto,
                const std::vector<std::string>& train = {});

void setStage(Graph& graph, Stage stage);

// Stores which variables are parameters, so that constants stay constants.
void storeParameters(Graph& graph);
// Stores which variables train, besides.
void storeTrainable(Graph& graph);

}  // namespace simaqat
