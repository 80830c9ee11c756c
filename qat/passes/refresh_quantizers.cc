#include "qat/passes/refresh_quantizers.h"

#include <algorithm>
#include <cmath>

#include "qat/ir/range_search.h"
#include "qat/passes/fake_quantized.h"
#include "qat/passes/stored.h"

namespace simaqat {
namespace {

// mean(|w|) of what each scale is for.
std::vector<double> meansOf(const Tensor& weight, const QuantizerSpec& spec) {
  int64_t scales = 1;
  for (int64_t dim : scaleDims(spec, weight.dims())) scales *= dim;
  int64_t inner = 1;
  for (size_t k = static_cast<size_t>(spec.axis + 1); k < weight.dims().size(); ++k) {
    inner *= weight.dims()[k];
  }
  std::vector<double> means(static_cast<size_t>(scales));
  for (int64_t i = 0; i < weight.size(); ++i) {
    means[static_cast<size_t>(i / inner % scales)] += std::fabs(weight.data<float>()[i]);
  }
  const double shared = static_cast<double>(weight.size()) / static_cast<double>(scales);
  for (double& mean : means) mean /= std::max(shared, 1.0);
  return means;
}

// Where LSQ's scales of a weight start.
void startOfWeight(const Graph& graph, const Node& node) {
  const auto& spec = node.attributes<QuantizerSpec>();
  const Tensor weight = storedTensor(graph, node.input(0));
  std::vector<double> means = meansOf(weight, spec);
  if (spec.learnsFoldedScale()) {
    const std::vector<double> factors = foldedFactors(graph, node);
    double sum = 0;
    for (size_t i = 0; i < means.size(); ++i) {
      const int64_t channel = channelOfScale(spec, weight.dims(), static_cast<int64_t>(i));
      sum += std::fabs(factors[static_cast<size_t>(channel)]) * means[i];
    }
    means = {sum / static_cast<double>(means.size())};
  }
  Tensor& scales = node.input(learnedScaleInput(spec))->variable->value;
  for (size_t c = 0; c < means.size(); ++c) {
    scales.mutableData<float>()[c] = learnedScaleStart(means[c], spec.qmax);
  }
}

void refreshLearned(const Graph& graph, Node& node) {
  const auto& spec = node.attributes<QuantizerSpec>();
  if (isUnset(node)) {
    if (!spec.is_weight || !isStored(node.input(0))) return;
    startOfWeight(graph, node);
  }
  settleLearned(node);
}

void setFirst(Node& node, FakeQuantizeInput input, float number) {
  *node.input(input)->variable->value.mutableData<float>() = number;
}

// The range that follows from a histogram, and the scale and zero point that follow from a range.
void refreshObserved(Node& node) {
  const auto& spec = node.attributes<QuantizerSpec>();
  const auto first = [&](FakeQuantizeInput input) {
    return *node.input(input)->variable->value.data<float>();
  };
  if (spec.usesHistogram()) {
    const Range range = rangeOfHistogram(
        spec, node.input(kFakeQuantizeHistogram)->variable->value.data<float>(),
        first(kFakeQuantizeHistogramLimit));
    setFirst(node, kFakeQuantizeRangeMin, range.lo);
    setFirst(node, kFakeQuantizeRangeMax, range.hi);
  }
  if (isUnset(node)) return;
  const ScaleAndZeroPoint parameters =
      scaleFromRange(spec, first(kFakeQuantizeRangeMin), first(kFakeQuantizeRangeMax));
  setFirst(node, kFakeQuantizeScale, parameters.scale);
  setFirst(node, kFakeQuantizeZeroPoint, static_cast<float>(parameters.zero_point));
}

void refreshTensorRange(const Graph& graph, Node& node) {
  const Tensor tensor = storedTensor(graph, node.input(0));
  const float* values = tensor.data<float>();
  if (tensor.size() == 0) return;
  const auto [lo, hi] = std::minmax_element(values, values + tensor.size());
  const ScaleAndZeroPoint parameters =
      scaleFromRange(node.attributes<QuantizerSpec>(), *lo, *hi);
  setFirst(node, kFakeQuantizeScale, parameters.scale);
  setFirst(node, kFakeQuantizeZeroPoint, static_cast<float>(parameters.zero_point));
}

}  // namespace

void refreshQuantizers(Graph& graph) {
  for (const auto& node : graph.nodes()) {
    if (!isFakeQuantize(*node)) continue;
    const auto& spec = node->attributes<QuantizerSpec>();
    if (spec.learnsScale()) refreshLearned(graph, *node);
    if (spec.observesRange()) {
      refreshObserved(*node);
    } else if (spec.followsWeight()) {
      if (isStored(node->input(0))) {
        Tensor& scale = node->input(kFakeQuantizeScale)->variable->value;
        scale = weightScales(graph, *node).reshaped(scale.dims());
      }
    } else if (spec.followsTensor()) {
      if (isStored(node->input(0))) refreshTensorRange(graph, *node);
    }
  }
}

}  // namespace simaqat
