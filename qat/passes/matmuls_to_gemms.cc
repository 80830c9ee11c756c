#include "qat/ir/op.h"
#include "qat/ops/shared/gemm_attributes.h"
#include "qat/passes/integer_forms.h"
#include "qat/passes/stored.h"

namespace simaqat {
namespace {

bool isFloatMatrix(const Value* value) {
  return value->type.element == ElementType::kFloat && value->type.shape && value->type.rank() == 2;
}

// The Add that alone takes the product and adds a stored vector, one element a column; or null.
Node* biasAdd(const Graph& graph, const Value* product) {
  if (graph.useCount(product) != 1 || product->uses().size() != 1) return nullptr;
  const Use use = product->uses()[0];
  if (use.node->op().qualifiedName() != "Add") return nullptr;
  const Value* bias = use.node->input(1 - use.index);
  const Dim& columns = (*product->type.shape)[1];
  const bool fits = isStored(bias) && bias->type.rank() == 1 && columns.known() &&
                    bias->type.size() == columns.value;
  return fits ? use.node : nullptr;
}

}  // namespace

void matMulsToGemms(Graph& graph) {
  // Gathered first: an Add behind one goes with it.
  std::vector<Node*> products;
  for (Node* node : graph.nodeSequence()) {
    if (node->op().qualifiedName() == "MatMul" && isFloatMatrix(node->input(0)) &&
        isFloatMatrix(node->input(1)) && isStored(node->input(1))) {
      products.push_back(node);
    }
  }
  for (Node* node : products) {
    std::vector<Value*> inputs = node->inputs();
    Node* add = biasAdd(graph, node->output());
    if (add != nullptr) {
      inputs.push_back(add->input(add->input(0) == node->output() ? 1 : 0));
    }
    // In the Add's place, in front of which its bias is defined.
    Node* last = add != nullptr ? add : node;
    Value* y = graph.add("Gemm", node->name(), inputs, ops::GemmAttributes{}, last);
    replaceNode(graph, last, y);
    if (add != nullptr) graph.removeNode(node);
  }
}

}  // namespace simaqat
