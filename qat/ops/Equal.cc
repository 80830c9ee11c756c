#include <functional>

#include "qat/ops/shared/comparison.h"

namespace simaqat::ops {

OpDefinition defineEqual() { return comparisonDefinition<std::equal_to<>>("Equal", 7); }

}  // namespace simaqat::ops
