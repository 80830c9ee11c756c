#include "qat/passes/monotone_chain.h"

#include <algorithm>

#include "qat/ir/op.h"
#include "qat/ir/pointwise.h"

namespace simaqat {
namespace {

// Whether an operand says the same of all elements of a channel of an x of rank `rank`: a number,
// or one for each channel.
bool isPerChannel(const Value* operand, size_t rank) {
  if (operand == nullptr) return true;
  const std::vector<int64_t> dims = operand->type.dims();
  for (size_t k = 0; k < dims.size(); ++k) {
    const bool counts_channels = dims.size() - k == rank - 1;
    if (dims[k] != 1 && !counts_channels) return false;
  }
  return true;
}

}  // namespace

std::optional<std::vector<const Node*>> monotoneChain(const Value* value, const Value* x) {
  std::vector<const Node*> chain;
  for (; value != x; value = chain.back()->input(0)) {
    const Node* node = value->producer();
    if (node == nullptr || !isPointwise(*node) || !node->op().pointwise.is_monotone) {
      return std::nullopt;
    }
    const auto rest = node->inputs().begin() + 1;
    if (!std::all_of(rest, node->inputs().end(),
                     [&](const Value* v) { return isPerChannel(v, x->type.rank()); })) {
      return std::nullopt;
    }
    chain.push_back(node);
  }
  std::reverse(chain.begin(), chain.end());
  return chain;
}

}  // namespace simaqat
