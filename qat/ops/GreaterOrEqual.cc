#include <functional>

#include "qat/ops/shared/comparison.h"

namespace simaqat::ops {

OpDefinition defineGreaterOrEqual() {
  return comparisonDefinition<std::greater_equal<>>("GreaterOrEqual", 12);
}

}  // namespace simaqat::ops
