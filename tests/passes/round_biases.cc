#include "tests/passes/round_biases.h"

#include <algorithm>

#include "qat/ir/op.h"
#include "qat/ops/shared/gemm_attributes.h"
#include "qat/passes/folded_weights.h"

namespace simaqat {
namespace {

constexpr size_t kBatchNormB = 2;

// What rounding adds to each channel.
std::vector<double> roundingOf(const FoldedWeight& folded) {
  std::vector<double> rounding(folded.biases.size(), 0);
  for (size_t c = 0; c < folded.biases.size() && folded.integer_bias; ++c) {
    const float scale = folded.input_scale * folded.scales[c];
    rounding[c] = static_cast<double>(folded.biases[c]) * scale - folded.float_biases[c];
  }
  return rounding;
}

// The constant may serve other nodes, which keep it.
void addToInput(Graph& graph, Node& node, size_t index, const std::vector<double>& addend) {
  const Value* bias = node.input(index);
  const std::vector<double> values = bias->constant.toVector<double>();
  std::vector<float> sum;
  for (size_t c = 0; c < addend.size(); ++c) {
    sum.push_back(static_cast<float>(values[values.size() == 1 ? 0 : c] + addend[c]));
  }
  node.setInput(index, graph.addConstant(bias->name() + "/rounded",
                                         Tensor::of({static_cast<int64_t>(sum.size())}, sum)));
}

void roundBiasOf(Graph& graph, const WeightedNode& weighted) {
  Node& node = *weighted.node;
  const int index = node.op().quantization.bias_input;
  const Value* bias = index < 0 ? nullptr : node.input(static_cast<size_t>(index));
  Node* batch_norm = batchNormBehind(graph, node);
  // finalize names a bias that is not constant; with none at all there is nothing to round.
  if (inputScale(node.input(0)) == 0 || (bias != nullptr && !bias->isConstant())) return;
  if (bias == nullptr && batch_norm == nullptr) return;
  std::vector<double> rounding = roundingOf(foldWeight(graph, weighted, batch_norm));
  if (batch_norm != nullptr) {
    addToInput(graph, *batch_norm, kBatchNormB, rounding);
    return;
  }
  if (node.op().qualifiedName() == "Gemm") {
    const double beta = node.attributes<ops::GemmAttributes>().beta;
    if (beta == 0) return;
    for (double& r : rounding) r /= beta;
  }
  addToInput(graph, node, static_cast<size_t>(index), rounding);
}

}  // namespace

void roundBiases(Graph& graph) {
  const std::vector<WeightedNode> weighted = weightedNodes(graph);
  std::vector<const Node*> folded;
  for (const WeightedNode& w : weighted) {
    folded.push_back(batchNormBehind(graph, *w.node));
    roundBiasOf(graph, w);
  }
  for (Node* node : graph.nodeSequence()) {
    const bool folds = std::find(folded.begin(), folded.end(), node) != folded.end();
    if (folds || !becomesDepthwise(graph, *node)) continue;
    addToInput(graph, *node, kBatchNormB, roundingOf(foldBatchNorm(graph, *node)));
  }
}

}  // namespace simaqat
