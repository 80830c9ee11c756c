#include <functional>

#include "qat/ops/shared/comparison.h"

namespace simaqat::ops {

OpDefinition defineLessOrEqual() {
  return comparisonDefinition<std::less_equal<>>("LessOrEqual", 12);
}

}  // namespace simaqat::ops
