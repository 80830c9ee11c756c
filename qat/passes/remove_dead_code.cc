#include <unordered_set>

#include "qat/passes/simplify.h"

namespace simaqat {

void removeDeadCode(Graph& graph) {
  std::unordered_set<const Node*> live;
  std::vector<const Value*> pending;
  for (const GraphOutput& output : graph.outputs) pending.push_back(output.value);
  for (const auto& variable : graph.variables()) {
    if (variable->next() != nullptr) pending.push_back(variable->next());
  }
  while (!pending.empty()) {
    const Node* node = pending.back()->producer();
    pending.pop_back();
    if (node == nullptr || !live.insert(node).second) continue;
    for (const Value* input : node->inputs()) {
      if (input != nullptr) pending.push_back(input);
    }
  }
  const std::vector<Node*> sequence = graph.nodeSequence();
  for (auto it = sequence.rbegin(); it != sequence.rend(); ++it) {
    if (live.count(*it) == 0) graph.removeNode(*it);
  }
  graph.dropUnused();
}

}  // namespace simaqat
