#include <functional>

#include "qat/ops/shared/comparison.h"

namespace simaqat::ops {

OpDefinition defineGreater() { return comparisonDefinition<std::greater<>>("Greater", 7); }

}  // namespace simaqat::ops
