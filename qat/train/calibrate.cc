#include "qat/train/calibrate.h"

#include <algorithm>
#include <memory>

#include "qat/exec/executor.h"
#include "qat/ir/fake_quantize.h"
#include "qat/train/step_graph.h"

namespace simaqat {

bool hasObservers(const Graph& model) {
  return std::any_of(model.nodes().begin(), model.nodes().end(), [](const auto& node) {
    if (!isFakeQuantize(*node)) return false;
    const auto& spec = node->template attributes<QuantizerSpec>();
    return spec.observesRange() || (spec.learnsScale() && isUnset(*node));
  });
}

bool hasUnsetScales(const Graph& model) {
  return std::any_of(model.nodes().begin(), model.nodes().end(), [](const auto& node) {
    return isFakeQuantize(*node) && node->template attributes<QuantizerSpec>().learnsScale() &&
           isUnset(*node);
  });
}

bool calibrate(Graph& model, int64_t batches, bool batch_statistics, BatchLoader& loader,
               const std::map<std::string, std::vector<int64_t>>& sample_dims,
               const std::function<bool()>& stops, ThreadPool& pool, Execution execution) {
  std::unique_ptr<Executor> executor;
  for (int64_t i = 0; i < batches; ++i) {
    if (stops()) return false;
    const Batch* batch = loader.next();
    if (executor == nullptr) {
      executor =
          std::make_unique<Executor>(buildInference(model.clone(), Mode::kCalibrate, batch->samples,
                                                    sample_dims, execution, batch_statistics),
                                     pool, execution);
    }
    for (size_t k = 0; k < model.inputs.size(); ++k) executor->setInput(k, batch->fields[k]);
    executor->compute(i);
    executor->commit();
  }
  executor->writeBack(model);
  return true;
}

}  // namespace simaqat
