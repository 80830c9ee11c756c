#include "qat/passes/stored.h"

#include "qat/ir/op.h"

namespace simaqat {
namespace {

// The node that moves a stored tensor, or null.
const Node* mover(const Value* value) {
  const Node* node = value->producer();
  const bool moves = node != nullptr && node->inputCount() == 1 && node->outputCount() == 1 &&
                     node->op().quantization.output == OutputQuantization::kShares;
  return moves ? node : nullptr;
}

}  // namespace

bool isStored(const Value* value) {
  if (value == nullptr) return false;
  if (value->variable != nullptr || value->isConstant()) return true;
  const Node* node = mover(value);
  return node != nullptr && isStored(node->input(0));
}

Tensor storedTensor(const Graph& graph, const Value* value) {
  if (!isStored(value)) return {};
  if (value->variable != nullptr) return value->variable->value;
  if (value->isConstant()) return value->constant;
  const Node* node = mover(value);
  ThreadPool pool(1);
  return evaluateOnHost(graph, *node, {storedTensor(graph, node->input(0))}, pool)[0];
}

}  // namespace simaqat
