#include "qat/passes/layers.h"

#include <set>

#include "qat/ir/op.h"
#include "qat/passes/fake_quantized.h"
#include "qat/passes/stored.h"

namespace simaqat {
std::vector<const Node*> nodesToQuantizer(const Graph& graph, const Node& node) {
  std::vector<const Node*> nodes = {&node};
  while (!isFakeQuantize(*nodes.back())) {
    const Value* value = nodes.back()->output();
    if (value->uses().size() != 1 || graph.useCount(value) != 1) return {};
    const Node& user = *value->uses()[0].node;
    const auto is_activation = user.op().quantization.is_activation;
    const bool is_fused = user.op().qualifiedName() == "BatchNormalization" ||
                          (is_activation != nullptr && is_activation(user));
    if (!is_fused && !isFakeQuantize(user)) return {};
    nodes.push_back(&user);
  }
  return nodes;
}

std::vector<Layer> layersOf(const Graph& graph) {
  std::vector<Layer> layers;
  std::set<std::string> seen;
  for (const WeightedNode& weighted : weightedNodes(graph)) {
    const Node& node = *weighted.node;
    const Node& weight = *weighted.fake_quantize;
    if (!seen.insert(weight.name()).second) continue;
    const std::vector<const Node*> behind = nodesToQuantizer(graph, node);
    layers.push_back({node.name(), node.opType(), weight.name(),
                      behind.empty() ? "" : behind.back()->name(),
                      storedTensor(graph, weight.input(0)).size(),
                      weight.attributes<QuantizerSpec>().codeType()});
  }
  return layers;
}

}  // namespace simaqat
