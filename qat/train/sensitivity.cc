#include "qat/train/sensitivity.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "qat/base/error.h"
#include "qat/ir/fake_quantize.h"
#include "qat/passes/fake_quantized.h"
#include "qat/passes/refresh_quantizers.h"
#include "qat/passes/sizes.h"

namespace simaqat {
namespace {

// Room is counted in so many parts: finer ones would choose no better.
constexpr int64_t kParts = 20000;

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

int64_t codeBytes(const Layer& layer, int64_t bits) {
  QuantizerSpec spec = weightQuantizer(0);
  setWeightBits(spec, bits);
  return bytesOf(layer.weight_elements, spec.codeType());
}

// What each width costs. Few samples may show a narrower width as the better one, by chance: it is
// taken for no better.
std::array<double, kWidths.size()> costsOf(const LayerSensitivity& entry) {
  // Where there is no choice, none is cheaper.
  if (entry.pinned) return {};
  auto costs = entry.weight_loss;
  for (size_t w = costs.size() - 1; w-- > 0;) costs[w] = std::max(costs[w], costs[w + 1]);
  return costs;
}

}  // namespace

Sensitivity measureSensitivity(const Graph& calibrated, Evaluator& evaluator) {
  Sensitivity result;
  Graph floats = calibrated.clone();
  bypassQuantizers(floats);
  result.float_loss = lossOf(floats, evaluator);
  for (const Layer& layer : layersOf(calibrated)) {
    LayerSensitivity entry{layer, {}, {}, {}};
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

std::vector<int64_t> chooseWidths(const Sensitivity& sensitivity, int64_t code_bytes,
                                  int64_t widest) {
  constexpr double kImpossible = std::numeric_limits<double>::infinity();
  const auto& layers = sensitivity.layers;
  const auto widthsOf = [&](const LayerSensitivity& entry) {
    std::vector<int64_t> widths;
    if (entry.pinned) return std::vector<int64_t>{*entry.pinned};
    std::copy_if(kWidths.begin(), kWidths.end(), std::back_inserter(widths),
                 [&](int64_t bits) { return bits <= widest; });
    return widths;
  };
  int64_t least = 0;
  int64_t most = 0;
  for (const LayerSensitivity& entry : layers) {
    least += codeBytes(entry.layer, widthsOf(entry).front());
    most += codeBytes(entry.layer, widthsOf(entry).back());
  }
  if (code_bytes < least) {
    const bool is_pinned = std::any_of(layers.begin(), layers.end(),
                                       [](const auto& entry) { return entry.pinned.has_value(); });
    throw inputError("the weights' codes of {} bits{} take {} bytes, and there is room for {}",
                     kWidths.front(), is_pinned ? ", or as the recipe tells," : "", least,
                     std::max<int64_t>(code_bytes, 0));
  }
  // A knapsack with one choice a layer. What the least width takes is set aside, so that rounding
  // up to parts never forbids it.
  const int64_t room = std::min(code_bytes, most) - least;
  const double part = std::max(1.0, static_cast<double>(room) / kParts);
  const auto parts = static_cast<size_t>(static_cast<double>(room) / part);
  const auto partsOf = [&](const LayerSensitivity& entry, size_t w) {
    const std::vector<int64_t> widths = widthsOf(entry);
    const int64_t extra = codeBytes(entry.layer, widths[w]) - codeBytes(entry.layer, widths[0]);
    return static_cast<size_t>(std::ceil(static_cast<double>(extra) / part));
  };
  std::vector<double> best(parts + 1, 0);
  std::vector<std::vector<size_t>> choices;  // by layer and room
  for (const LayerSensitivity& entry : layers) {
    std::vector<double> next(parts + 1, kImpossible);
    std::vector<size_t> choice(parts + 1, 0);
    const auto costs = costsOf(entry);
    for (size_t w = 0; w < widthsOf(entry).size(); ++w) {
      const size_t needed = partsOf(entry, w);
      for (size_t r = needed; r <= parts; ++r) {
        const double loss = best[r - needed] + costs[w];
        // Of equals the widest.
        if (loss <= next[r]) {
          next[r] = loss;
          choice[r] = w;
        }
      }
    }
    best = std::move(next);
    choices.push_back(std::move(choice));
  }
  std::vector<int64_t> result(layers.size());
  size_t r = parts;
  for (size_t i = layers.size(); i-- > 0;) {
    const size_t w = choices[i][r];
    result[i] = widthsOf(layers[i])[w];
    r -= partsOf(layers[i], w);
  }
  return result;
}

}  // namespace simaqat
