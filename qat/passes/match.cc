#include "qat/passes/match.h"

#include "qat/ir/op.h"

namespace simaqat {

const Node* producer(const Value* value, const std::string& op_type) {
  const Node* node = value->producer();
  return node != nullptr && node->op().qualifiedName() == op_type ? node : nullptr;
}

std::optional<double> constantNumber(const Value* value) {
  if (!value->isConstant() || value->constant.size() != 1) return std::nullopt;
  return value->constant.toVector<double>()[0];
}

}  // namespace simaqat
