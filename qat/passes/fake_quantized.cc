#include "qat/passes/fake_quantized.h"

#include "qat/ir/op.h"
#include "qat/passes/stored.h"

namespace simaqat {

bool isFakeQuantize(const Node& node) {
  return node.op().qualifiedName() == "simaqat::FakeQuantize";
}

const Node* fakeQuantizeOf(const Value* value) {
  while (const Node* node = value->producer()) {
    if (isFakeQuantize(*node)) return node;
    if (!sharesQuantizer(*node)) return nullptr;
    value = node->input(0);
  }
  return nullptr;
}

float inputScale(const Value* value) {
  const Node* fake_quantize = fakeQuantizeOf(value);
  return fake_quantize == nullptr ? 0 : *fake_quantize->input(1)->constant.data<float>();
}

std::vector<WeightedNode> weightedNodes(const Graph& graph) {
  std::vector<WeightedNode> weighted;
  for (const auto& node : graph.nodes()) {
    const int index = node->op().quantization.weight_input;
    const Value* weight = index < 0 ? nullptr : node->input(static_cast<size_t>(index));
    Node* producer = weight == nullptr ? nullptr : weight->producer();
    if (producer != nullptr && isFakeQuantize(*producer) && isStored(producer->input(0))) {
      weighted.push_back({node.get(), producer});
    }
  }
  return weighted;
}

}  // namespace simaqat
