#include "qat/passes/refresh_quantizers.h"

#include <algorithm>
#include <cmath>

#include "qat/ir/range_search.h"
#include "qat/passes/fake_quantized.h"
#include "qat/passes/stored.h"

namespace simaqat {
namespace {

// mean(|w|) of each channel along the axis; of the whole weight for an axis of -1.
std::vector<double> meansOf(const Tensor& weight, int64_t axis) {
  const auto& dims = weight.dims();
  const int64_t channels = axis < 0 ? 1 : dims[static_cast<size_t>(axis)];
  int64_t inner = axis < 0 ? std::max<int64_t>(weight.size(), 1) : 1;
  for (size_t k = static_cast<size_t>(axis + 1); axis >= 0 && k < dims.size(); ++k)
    inner *= dims[k];
  std::vector<double> means(static_cast<size_t>(channels));
  for (int64_t i = 0; i < weight.size(); ++i) {
    means[static_cast<size_t>(i / inner % channels)] += std::fabs(weight.data<float>()[i]);
  }
  const double shared = static_cast<double>(weight.size()) / static_cast<double>(channels);
  for (double& mean : means) mean /= std::max(shared, 1.0);
  return means;
}

// Where LSQ's scales of a weight start.
void startOfWeight(const Graph& graph, const Node& node) {
  const auto& spec = node.attributes<QuantizerSpec>();
  std::vector<double> means = meansOf(storedTensor(graph, node.input(0)), spec.axis);
  if (spec.learnsFoldedScale()) {
    const std::vector<double> factors = foldedFactors(graph, node);
    double sum = 0;
    for (size_t c = 0; c < means.size(); ++c) sum += std::fabs(factors[c]) * means[c];
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
