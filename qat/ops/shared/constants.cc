#include "qat/ops/shared/constants.h"

namespace simaqat::ops {

std::optional<double> constantScalar(const Node& node, size_t input) {
  const Value* value = node.input(input);
  if (value == nullptr || !value->isConstant() || value->constant.size() != 1) return std::nullopt;
  return value->constant.toVector<double>()[0];
}

}  // namespace simaqat::ops
