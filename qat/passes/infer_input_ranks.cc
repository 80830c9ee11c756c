#include "qat/base/error.h"
#include "qat/passes/simplify.h"

namespace simaqat {
namespace {

constexpr size_t kMostAxes = 6;

// Whether the operators' shape rules accept the graph as it is now.
bool typesFit(Graph& graph) {
  try {
    for (const auto& node : graph.nodes()) graph.inferTypes(*node);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

void inferInputRanks(Graph& graph) {
  for (Value* input : graph.inputs) {
    if (input->type.shape) continue;
    std::vector<size_t> ranks;
    for (size_t rank = 0; rank <= kMostAxes; ++rank) {
      input->type.shape = Shape(rank);
      if (typesFit(graph)) ranks.push_back(rank);
    }
    input->type.shape.reset();
    if (ranks.size() == 1) input->type.shape = Shape(ranks[0]);
    for (const auto& node : graph.nodes()) graph.inferTypes(*node);
  }
}

}  // namespace simaqat
