#include "qat/passes/layers.h"

#include <set>

#include "qat/ir/op.h"
#include "qat/passes/fake_quantized.h"
#include "qat/passes/stored.h"

namespace simaqat {
namespace {

// Behind BatchNormalization and activations that nothing else sees.
std::string outputQuantizer(const Graph& graph, const Node& node) {
  const Value* value = node.output();
  if (value->uses().size() != 1 || graph.useCount(value) != 1) return "";
  const Node& user = *value->uses()[0].node;
  if (isFakeQuantize(user)) return user.name();
  const auto is_activation = user.op().quantization.is_activation;
  const bool is_fused = user.op().qualifiedName() == "BatchNormalization" ||
                        (is_activation != nullptr && is_activation(user));
  return is_fused ? outputQuantizer(graph, user) : "";
}

}  // namespace

std::vector<Layer> layersOf(const Graph& graph) {
  std::vector<Layer> layers;
  std::set<std::string> seen;
  for (const WeightedNode& weighted : weightedNodes(graph)) {
    const Node& node = *weighted.node;
    const Node& weight = *weighted.fake_quantize;
    if (!seen.insert(weight.name()).second) continue;
    layers.push_back({node.name(), node.opType(), weight.name(), outputQuantizer(graph, node),
                      storedTensor(graph, weight.input(0)).size(),
                      weight.attributes<QuantizerSpec>().codeType()});
  }
  return layers;
}

}  // namespace simaqat
