#include "qat/passes/canonicalize.h"

#include <algorithm>

#include "qat/base/text.h"
#include "qat/passes/exported_forms.h"
#include "qat/passes/pass.h"
#include "qat/passes/simplify.h"

namespace simaqat {

std::vector<std::string> canonicalize(Graph& graph, BatchNormPolicy policy) {
  std::vector<std::string> warnings;
  int copied = 0;
  BatchNormDecision decision;
  runPass(graph, "infer-input-ranks", inferInputRanks);
  runPass(graph, "narrow-double", narrowDouble);
  runPass(graph, "castlikes-to-casts", castLikesToCasts);
  runPass(graph, "flattened-softmaxes", flattenedSoftmaxes);
  runPass(graph, "standardized-weights", standardizedWeights);
  runPass(graph, "separate-batch-norm-state",
          [&](Graph& g) { copied = separateBatchNormState(g); });
  runPass(graph, "remove-identities", removeIdentities);
  if (policy != BatchNormPolicy::kAsIs) {
    runPass(graph, "cancel-transposes", cancelTransposes);
  }
  runPass(graph, "fold-constants", foldAllButStored);
  runPass(graph, "stable-logarithms", stableLogarithms);
  runPass(graph, "drop-paths", dropPaths);
  runPass(graph, "decide-batch-norm", [&](Graph& g) { decision = decideBatchNorm(g, policy); });
  runPass(graph, "dead-code", removeDeadCode);
  if (copied > 0) {
    warnings.push_back(fmt::format(
        "{} initializers that the exporter had merged by value serve several BatchNormalizations; "
        "each has its own again",
        copied));
  }
  if (decision.from_evaluation_export) {
    warnings.push_back(fmt::format(
        "all {} BatchNormalizations have training_mode = 0 (an evaluation export): they are made "
        "training ones; --bn frozen keeps them frozen",
        decision.training));
  }
  return warnings;
}

void selectOutputs(Graph& graph, const std::vector<std::string>& names) {
  std::vector<GraphOutput> kept;
  for (const std::string& name : names) {
    const auto it = std::find_if(graph.outputs.begin(), graph.outputs.end(),
                                 [&](const GraphOutput& output) { return output.name == name; });
    if (it == graph.outputs.end()) {
      std::vector<std::string> all;
      for (const GraphOutput& output : graph.outputs) all.push_back(output.name);
      throw inputError("the model has no output '{}' (it has {})", name, joined(all));
    }
    kept.push_back(*it);
  }
  graph.outputs = std::move(kept);
  removeDeadCode(graph);
}

}  // namespace simaqat
