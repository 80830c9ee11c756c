#include "qat/train/sensitivity.h"

#include "qat/ir/fake_quantize.h"
#include "qat/passes/fake_quantized.h"
#include "qat/passes/refresh_quantizers.h"

namespace simaqat {
namespace {

void setBits(Graph& graph, const std::string& fake_quantize, int64_t bits) {
  for (const auto& node : graph.nodes()) {
    if (node->name() != fake_quantize) continue;
    auto& spec = node->mutableAttributes<QuantizerSpec>();
    if (spec.is_weight) {
      setWeightBits(spec, bits);
    } else {
      setActivationBits(spec, bits, spec.isSigned());
    }
  }
}

double lossOf(const Graph& graph, Evaluator& evaluator) {
  return evaluator.run(graph).losses.front().second;
}

double lossWith(const Graph& calibrated, const std::string& fake_quantize, int64_t bits,
                Evaluator& evaluator) {
  Graph graph = calibrated.clone();
  bypassQuantizers(graph, {fake_quantize});
  setBits(graph, fake_quantize, bits);
  refreshQuantizers(graph);
  return lossOf(graph, evaluator);
}

}  // namespace

Sensitivity measureSensitivity(const Graph& calibrated, Evaluator& evaluator) {
  Sensitivity result;
  Graph floats = calibrated.clone();
  bypassQuantizers(floats);
  result.float_loss = lossOf(floats, evaluator);
  for (const Layer& layer : layersOf(calibrated)) {
    LayerSensitivity entry{};
    entry.layer = layer;
    for (size_t w = 0; w < kWidths.size(); ++w) {
      entry.weight_loss[w] = lossWith(calibrated, layer.weight, kWidths[w], evaluator);
      entry.output_loss[w] = layer.output.empty()
                                 ? result.float_loss
                                 : lossWith(calibrated, layer.output, kWidths[w], evaluator);
    }
    result.layers.push_back(std::move(entry));
  }
  return result;
}

}  // namespace simaqat
