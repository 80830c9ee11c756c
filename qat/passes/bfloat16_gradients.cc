#include "qat/passes/bfloat16_gradients.h"

#include "qat/ir/op.h"
#include "qat/ops/shared/convolution_attributes.h"
#include "qat/ops/shared/gemm_attributes.h"
#include "qat/passes/integer_forms.h"

namespace simaqat {
namespace {

bool isOfFloats(const Node& node) {
  return node.output()->type.element == ElementType::kFloat && node.inputCount() == 2;
}

void useBfloat16(Graph& graph, Node* node) {
  const std::string name = node->op().qualifiedName();
  if (name == "simaqat::ConvInputGradient" || name == "simaqat::ConvWeightGradient") {
    node->mutableAttributes<ops::ConvGradientAttributes>().bfloat16 = true;
  } else if (name == "Gemm" && isOfFloats(*node)) {
    replaceNode(graph, node,
                graph.add("simaqat::Bfloat16Gemm", node->name(), node->inputs(),
                          ops::GemmAttributes(node->attributes<ops::GemmAttributes>()), node));
  } else if (name == "MatMul" && isOfFloats(*node)) {
    replaceNode(
        graph, node,
        graph.add("simaqat::Bfloat16MatMul", node->name(), node->inputs(), NoAttributes{}, node));
  }
}

}  // namespace

void useBfloat16Gradients(Graph& graph, const std::unordered_set<const Node*>& forward) {
  for (Node* node : graph.nodeSequence()) {
    if (forward.count(node) == 0) useBfloat16(graph, node);
  }
}

}  // namespace simaqat
